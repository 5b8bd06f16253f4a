"""Styles: from LoRA files, as the usual trainers write them, to adapters that fit the model."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from deployments.diffusion.profile import Style
from deployments.diffusion.weights.adapters import Adapter, Update
from deployments.diffusion.weights.components import SharedComponents
from deployments.diffusion.weights.unavailable import ModelUnavailable, without_paths

# What peft, diffusers, ComfyUI and kohya write before a layer's name.
PREFIX = re.compile(r"^(base_model\.model\.|transformer\.|diffusion_model\.|unet\.|lora_unet_)")

PARTS = {
    "lora_A": "down", "lora_down": "down", "lora.down": "down",
    "lora_B": "up", "lora_up": "up", "lora.up": "up",
    "alpha": "alpha",
}  # fmt: skip
KEY = re.compile(rf"(.+)\.({'|'.join(map(re.escape, PARTS))})(?:\.default)?(?:\.weight)?")
SETTINGS = "lora_adapter_metadata"  # where diffusers keeps peft's settings, as JSON
UNSUPPORTED = ("use_dora", "use_rslora", "alpha_pattern")
NAMED = 3  # of a file's faults, in the message


def load_style(
    name: str, style: Style, layers: Mapping[str, nn.Linear], components: SharedComponents
) -> Adapter:
    """The style's adapter, on the components' device and in their dtype.

    layers: those that a style may act on, by name. Raises ModelUnavailable, naming the style, for
    a file that is missing, cannot be read or does not fit.
    """

    def placed(tensor: Tensor) -> nn.Parameter:
        moved = tensor.to(components.device, components.dtype).contiguous()
        return nn.Parameter(moved, requires_grad=False)

    try:
        tensors, settings = _read(_path(style))
        parts = _by_layer(tensors, layers)
        _refuse(_faults(parts, layers))
        alpha = _usual_alpha(settings)
        updates = {
            layers[at]: Update(
                placed(part["down"]), placed(part["up"].float() * _scale(part, alpha, style))
            )
            for at, part in parts.items()
        }
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelUnavailable(
            f"styles.{name}: {style.file!r} of {style.title!r}: {without_paths(error)}; give a "
            "LoRA file made for this model, or take the style out of the profile"
        ) from error
    return Adapter(updates)


def _path(style: Style) -> Path:
    if not style.is_local:
        return Path(hf_hub_download(style.source, style.file, revision=style.revision))
    path = Path(style.location) / style.file
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The file's tensors, and peft's settings where it has them."""
    with safe_open(path, framework="pt") as file:
        settings = json.loads((file.metadata() or {}).get(SETTINGS, "{}"))
        bare = {key.rpartition(".")[2]: value for key, value in settings.items()}
        keys = file.keys()
        return {key: file.get_tensor(key) for key in keys}, bare


def _by_layer(
    tensors: Mapping[str, Tensor], layers: Mapping[str, nn.Linear]
) -> dict[str, dict[str, Tensor]]:
    """The tensors by layer and part (down, up, alpha). Raises ValueError for other keys."""
    names = {spelt: name for name in layers for spelt in (name, name.replace(".", "_"))}
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    unknown = []
    for key, tensor in tensors.items():
        match = KEY.fullmatch(PREFIX.sub("", key))
        if match is None or match[1] not in names:
            unknown.append(f"no layer for {key!r}")
        else:
            parts[names[match[1]]][PARTS[match[2]]] = tensor
    _refuse(unknown)
    if not parts:
        raise ValueError("it holds no adapter")
    return parts


def _faults(
    parts: Mapping[str, Mapping[str, Tensor]], layers: Mapping[str, nn.Linear]
) -> Iterator[str]:
    """What of the parts does not fit their layers, in words."""
    for name, part in parts.items():
        if not {"down", "up"} <= part.keys():
            yield f"{name!r} lacks one of its two matrices"
            continue
        layer, down, up = layers[name], tuple(part["down"].shape), tuple(part["up"].shape)
        rank = down[0] if down else 0
        if rank == 0 or (down, up) != ((rank, layer.in_features), (layer.out_features, rank)):
            here = f"{layer.out_features}x{layer.in_features}"
            yield f"{name!r} is {here}, which {up} by {down} does not fit"
        elif part.get("alpha", torch.ones(())).numel() != 1:
            yield f"the alpha of {name!r} is no number"
        elif not all(tensor.isfinite().all() for tensor in part.values()):
            yield f"{name!r} holds values that are not finite"


def _refuse(faults: Iterable[str]) -> None:
    """Raise ValueError with the first of the faults, if there are any."""
    found = list(faults)
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise ValueError(", ".join(found[:NAMED]) + more)


def _usual_alpha(settings: Mapping[str, object]) -> float | None:
    """Peft's alpha, None where the file tells none."""
    for name in UNSUPPORTED:
        if settings.get(name):
            raise ValueError(f"{name} is not supported")
    alpha = settings.get("lora_alpha")
    return float(alpha) if isinstance(alpha, int | float) else None


def _scale(part: Mapping[str, Tensor], alpha: float | None, style: Style) -> float:
    """weight x alpha / rank; without an alpha it is the rank."""
    if "alpha" in part:
        alpha = float(part["alpha"])
    return style.weight * (1.0 if alpha is None else alpha / len(part["down"]))
