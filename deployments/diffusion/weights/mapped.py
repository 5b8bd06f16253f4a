"""Weights straight from the files: mapped into the parameters, with no copy where none is needed.

A module is built without memory and its parameters become the tensors of the mapped safetensors
files. Where device and dtype are the files' own, loading is as fast as the disk. Whether they fit
is known from names and shapes, before a weight is read.
"""

import os
import re
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from transformers.initialization import no_init_weights

from deployments.diffusion.weights.composition import Component
from deployments.diffusion.weights.unavailable import Wrong
from deployments.diffusion.weights.weight_files import FLOATS, Held, WeightFiles

RUN = 16 * 2**20  # bytes
COMPUTED = re.compile(r"(^|\.)(position_ids|inv_freq)$")
"""Names of buffers that older versions stored, and that are computed now."""

UNKNOWN = "has a weight that its config knows nothing of"
OTHER = "give the weights and the config.json of one and the same model"


@dataclass(frozen=True, slots=True)
class Shell:
    """A component as its config builds it, without weights, and the files that hold them.

    mapped: whether the files' tensors are the module's own by name, and stay in one dtype; else the
    library's loader knows more.
    """

    part: str
    component: Component
    folder: Path
    files: WeightFiles
    module: torch.nn.Module
    mapped: bool

    @classmethod
    def of(
        cls, part: str, component: Component, folder: Path, files: WeightFiles, dtype: torch.dtype
    ) -> "Shell":
        """Raises Wrong where the config builds nothing, or the weights are not the module's."""
        try:
            with init_empty_weights(include_buffers=False), no_init_weights():
                module = _build(component, folder, dtype)
        except Exception as error:  # whatever a library says of values that it does not know
            config, what = folder / "config.json", "cannot be built by its config"
            raise Wrong(part, what, OTHER, config, detail=repr(error)) from error
        files = replace(files, tensors=_renamed(component, module, files.tensors))
        own = module.state_dict(keep_vars=True)
        ties = {} if component.library == "diffusers" else module._tied_weights_keys or {}
        for key in ties.keys() - files.tensors.keys():
            own.pop(key)  # missed under the other name, if it is
        faults = list(_faults(component, own, files.tensors))
        plain = not ties and not component.kind._keep_in_fp32_modules
        shell = cls(part, component, folder, files, module, plain and not faults)
        if component.library == "diffusers" or own.keys() & files.tensors.keys():
            shell.refuse(faults)
        return shell

    def refuse(self, faults: Sequence[tuple[str, str]], fix: str = OTHER) -> None:
        """Raise Wrong with the first of the faults, if any: keys, and what is wrong with each."""
        if not faults:
            return
        key, what = faults[0]
        more = f", and {len(faults) - 1} more like it" if len(faults) > 1 else ""
        holding = (held.file for name, held in self.files.tensors.items() if name.endswith(key))
        raise Wrong(self.part, what + more, fix, next(holding, self.files.files[0]), key)


def load_mapped(shell: Shell, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    """The shell's module with its weights on `device`, in `dtype`. For shells that are mapped."""
    for file in shell.files.files:
        read_through(file)
    weights = dict(_renamed(shell.component, shell.module, shell.files.read(device)))
    _assign(shell.module, weights, device, dtype)
    return shell.module


def load_by_library(shell: Shell, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    """As transformers reads it, which knows other names and what stays in float32.

    Read straight to `device`. Raises Wrong where its report says that anything was made up.
    """
    module, report = shell.component.kind.from_pretrained(
        shell.folder,
        dtype=dtype,
        variant=shell.files.variant,
        low_cpu_mem_usage=True,
        device_map={"": device},
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are in the report
        local_files_only=True,
    )
    faults = [(key, "lacks a weight") for key in sorted(report["missing_keys"])]
    faults += [
        (key, f"has a weight of {tuple(held)}, not of {tuple(wanted)}")
        for key, held, wanted in sorted(report["mismatched_keys"])
    ]
    faults += [
        (key, UNKNOWN)
        for key in sorted(report["unexpected_keys"])
        if not is_unread(shell.component, key)
    ]
    shell.refuse(faults)
    loaded: torch.nn.Module = module
    return loaded


def require_finite(shell: Shell, module: torch.nn.Module) -> None:
    """Raise Wrong where a weight is no number; nothing as large as a weight is made for it."""
    weights = {
        key: weight
        for key, weight in module.state_dict().items()
        if weight.is_floating_point() and weight.numel()
    }
    ends = torch.stack([torch.stack(torch.aminmax(one)).float() for one in weights.values()])
    finite = ends.isfinite().all(dim=1).tolist()
    faults = [
        (key, f"has a weight that is not finite in {weight.dtype}".replace("torch.", ""))
        for (key, weight), is_finite in zip(weights.items(), finite, strict=True)
        if not is_finite
    ]
    shell.refuse(faults, "fetch it again, or give another checkpoint")


def _assign(
    module: torch.nn.Module,
    weights: dict[str, torch.Tensor],
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Put every weight into its place, and the other buffers on `device`.

    What `load_state_dict(assign=True)` does, in a third of its time.
    """
    for path, owner in module.named_modules():
        for own in (owner._parameters, owner._buffers):
            for name, tensor in own.items():
                if tensor is None:
                    continue
                if name in owner._non_persistent_buffers_set:
                    own[name] = tensor.to(device)
                    continue
                weight = weights.pop(f"{path}.{name}" if path else name)
                if weight.is_floating_point():
                    weight = weight.to(dtype)
                is_parameter = own is owner._parameters
                own[name] = torch.nn.Parameter(weight, False) if is_parameter else weight


def _faults(
    component: Component, own: Mapping[str, torch.Tensor], tensors: Mapping[str, Held]
) -> Iterator[tuple[str, str]]:
    """Where the files' tensors are not the module's own: the key, and what is wrong with it."""
    for key, tensor in own.items():
        held = tensors.get(key)
        if held is None:
            yield key, "lacks a weight"
        elif held.shape != tuple(tensor.shape):
            yield key, f"has a weight of {held.shape}, not of {tuple(tensor.shape)}"
        elif tensor.is_floating_point() and held.dtype not in FLOATS:
            yield key, f"holds {held.dtype} where weights belong"
    for key in tensors:
        if key not in own and not is_unread(component, key):
            yield key, UNKNOWN


def is_unread(component: Component, key: str) -> bool:
    """Whether a weight may lie in the files though nothing reads it."""
    return key.startswith(component.unread) or COMPUTED.search(key) is not None


def _renamed(component: Component, module: Any, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    """By the names that the class has for what its files, or older versions' files, spell else."""
    renamed = OrderedDict((_spelt(component, key), one) for key, one in tensors.items())
    if component.library == "diffusers":
        module._fix_state_dict_keys_on_load(renamed)
    return renamed


def _spelt(component: Component, key: str) -> str:
    for theirs, ours in component.spelt.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return key


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


def _build(component: Component, folder: Path, dtype: torch.dtype) -> Any:
    kind = component.kind
    if component.library == "transformers":
        return kind._from_config(kind.config_class.from_pretrained(folder), dtype=dtype)
    return kind.from_config(kind.load_config(folder))
