"""Weights straight from the files: mapped into the parameters, with no copy where none is needed.

A module is built without memory and its parameters become the tensors of the mapped safetensors
files. Where device and dtype are the files' own, loading is as fast as the disk.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors.torch import load_file
from transformers.initialization import no_init_weights

from deployments.diffusion.weights.variants import inserted

RUN = 16 * 2**20  # bytes
WEIGHTS = ("diffusion_pytorch_model.safetensors", "model.safetensors")


def load_mapped(
    kind: Any,
    library: str,
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    variant: str | None = None,
) -> torch.nn.Module | None:
    """The module of a component's folder on `device`, in `dtype`, from the variant's files.

    None where the files are not simply the module's own tensors (other names or shapes, parts that
    stay in float32): the library's loader knows more.
    """
    files = _files(folder, variant)
    if not files or getattr(kind, "_keep_in_fp32_modules", None):
        return None
    with init_empty_weights(include_buffers=False), no_init_weights():
        module = _build(kind, library, folder, dtype)
    weights: dict[str, torch.Tensor] = {}
    for file in files:
        read_through(file)
        weights.update(load_file(file, device=str(device)))
    return module if _assign(module, weights, device, dtype) else None


def _assign(
    module: torch.nn.Module,
    weights: dict[str, torch.Tensor],
    device: torch.device,
    dtype: torch.dtype,
) -> bool:
    """Put every weight into its place, and the other buffers on `device`.

    What `load_state_dict(assign=True)` does, in a third of its time. False where the names or the
    shapes of the weights are not the module's own.
    """
    for path, owner in module.named_modules():
        for own in (owner._parameters, owner._buffers):
            for name, tensor in own.items():
                if tensor is None:
                    continue
                if name in owner._non_persistent_buffers_set:
                    own[name] = tensor.to(device)
                    continue
                weight = weights.pop(f"{path}.{name}" if path else name, None)
                if weight is None or weight.shape != tensor.shape:
                    return False
                if weight.is_floating_point():
                    weight = weight.to(dtype)
                is_parameter = own is owner._parameters
                own[name] = torch.nn.Parameter(weight, False) if is_parameter else weight
    return not weights


def read_through(file: Path) -> None:
    """Have a file in the page cache (Linux): what is missing is read in long runs, from the start.

    Left to page faults, a fast disk would be asked for too little at a time.
    """
    if sys.platform != "linux":
        return
    size = file.stat().st_size
    with file.open("rb", buffering=0) as opened:
        descriptor = opened.fileno()
        runs = range(0, size, RUN)
        missing = [at for at in runs if not _is_cached(descriptor, min(at + RUN, size) - 1)]
        buffer = bytearray(RUN if missing else 0)
        for at in missing:
            os.preadv(descriptor, [buffer], at)


def _is_cached(descriptor: int, offset: int) -> bool:
    """Whether a byte can be read without waiting for the disk."""
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
    except OSError:
        return False


def _build(kind: Any, library: str, folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    if library == "transformers":
        config = kind.config_class.from_pretrained(folder)
        module: torch.nn.Module = kind._from_config(config, dtype=dtype)
    else:
        module = kind.from_config(kind.load_config(folder))
    return module


def _files(folder: Path, variant: str | None) -> list[Path]:
    """The component's safetensors files: the one, or those that its index names."""
    for name in WEIGHTS:
        index = folder / inserted(f"{name}.index.json", variant)
        if index.is_file():
            shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            return [folder / shard for shard in sorted(set(shards))]
        file = folder / inserted(name, variant)
        if file.is_file():
            return [file]
    return []
