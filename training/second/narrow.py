"""Start from the shipped autoencoder: keep the strongest channels of each of its stages.

Its outer stages know edges and colours already, which a new one would take hours to learn. What
costs most at 512 x 512 are the stages of full, half and quarter size: those lose the weakest
channels, the same number from each group of the norms.
"""

from __future__ import annotations

import re

import torch
from diffusers import AutoencoderKL
from torch import Tensor

GROUPS = 4  # of the norms

State = dict[str, Tensor]


def _stages(name: str, last: int) -> tuple[int, int]:
    """The stages that a layer's input and output belong to; -1 where it is not one of them."""
    block = re.search(r"(down|up)_blocks\.(\d+)\.", name)
    if block is None:
        if "mid_block" in name:
            return last, last
        inside = last if name.startswith("decoder.conv_in") or ".conv_out" in name else 0
        if name.startswith("decoder.conv_out") or name.startswith("decoder.conv_norm_out"):
            inside = 0
        if name.startswith("encoder.conv_norm_out"):
            inside = last
        return (-1, inside) if "conv_in" in name else (inside, -1 if "conv_out" in name else inside)
    number = int(block[2])
    out = number if block[1] == "down" else last - number
    before = max(0, out - 1) if block[1] == "down" else min(last, out + 1)
    first = ".resnets.0." in name and (".conv1" in name or ".norm1" in name or "shortcut" in name)
    return (before if first else out), out


def _is_hidden(name: str) -> tuple[bool, bool]:
    """Whether a layer's input, and output, is a residual block's own and not the stage's."""
    reads = ".conv2." in name or ".norm2." in name
    return reads, ".conv1." in name or ".norm2." in name


def _strongest(scores: Tensor, keep: int) -> Tensor:
    """Indices of the best `keep` of (n,) scores, equally many of each group, in order."""
    groups = scores.view(GROUPS, -1)
    best = groups.topk(keep // GROUPS, dim=1).indices.sort(dim=1).values
    return (best + torch.arange(GROUPS)[:, None] * groups.shape[1]).flatten()


def _scores(state: State, side: str, stage: int, last: int) -> Tensor:
    """How much each channel of a stage is written and read by convolutions, (channels,)."""
    total: Tensor | None = None
    for name, weight in state.items():
        if not name.startswith(side) or weight.ndim != 4:
            continue
        before, after = _stages(name, last)
        reads, writes = _is_hidden(name)
        for use, mine, hidden in ((1, before, reads), (0, after, writes)):
            if mine == stage and not hidden:
                dims = tuple(dim for dim in range(4) if dim != use)
                norm = weight.square().mean(dim=dims).sqrt()
                norm = norm / norm.mean()
                total = norm if total is None else total + norm
    assert total is not None
    return total


def narrowed(wide: AutoencoderKL, channels: tuple[int, ...]) -> State:
    """The weights of `wide` for an autoencoder with fewer `channels` in its stages."""
    state: State = {name: weight.float() for name, weight in wide.state_dict().items()}
    last = len(channels) - 1
    kept = {
        (side, stage): _strongest(_scores(state, side, stage, last), channels[stage])
        for side in ("encoder", "decoder")
        for stage in range(last + 1)
    }
    hidden: dict[str, Tensor] = {}
    for name, weight in state.items():
        if name.endswith("conv1.weight"):
            stage = _stages(name, last)[1]
            follow = state[name.replace("conv1", "conv2")]
            score = weight.square().mean(dim=(1, 2, 3)) * follow.square().mean(dim=(0, 2, 3))
            hidden[name.rsplit(".conv1", 1)[0]] = _strongest(score, channels[stage])
    result: State = {}
    for name, weight in state.items():
        side = name.split(".")[0]
        before, after = _stages(name, last)
        reads, writes = _is_hidden(name)
        owner = re.split(r"\.(?:conv1|conv2|norm2)\.", name)[0]
        if weight.ndim == 4 and before >= 0:
            weight = weight[:, hidden[owner] if reads else kept[side, before]]
        if ".norm1." in name:
            weight = weight[kept[side, before]]
        elif after >= 0:
            weight = weight[hidden[owner] if writes else kept[side, after]]
        result[name] = weight.clone()
        if name.endswith("resnets.0.conv2.bias") and f"{owner}.conv_shortcut.bias" not in state:
            source = _stages(f"{owner}.norm1.", last)[0]
            if channels[source] != channels[after]:
                same = kept[side, after][:, None] == kept[side, source][None]
                result[f"{owner}.conv_shortcut.weight"] = same.float()[..., None, None]
                result[f"{owner}.conv_shortcut.bias"] = torch.zeros(channels[after])
    return result
