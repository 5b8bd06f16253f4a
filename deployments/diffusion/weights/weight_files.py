"""One component's files of weights: found, whole, and known by name and shape, unread."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from deployments.diffusion.weights.unavailable import Fault, Wrong
from deployments.diffusion.weights.variants import inserted

STEMS = {
    "diffusers": ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
    "transformers": ("model.safetensors", "pytorch_model.bin"),
}
POINTER = b"version https://git-lfs"
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".gguf", ".ckpt", ".pt", ".pth", ".msgpack", ".onnx")
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
FETCH = "fetch it again"
PULL = "fetch it with `git lfs pull`, or download the model again"
QUANTISED = re.compile(
    r"(^|\.)(weight_scale(_2)?|scale_weight|scaled_fp8|scale_input|input_scale|absmax|quant_map"
    r"|nested_absmax|nested_quant_map|SCB|qweight|qzeros|weight_format)$|\.quant_state\."
)
"""How names of tensors end that only quantised weights need."""

UNQUANTISED = (
    "give it in bfloat16 or float32, or let diffusers or transformers read it, dequantize() it and "
    "save_pretrained() it there; model.memory_budget lets Signboard store it in fp8 itself"
)


class Held(NamedTuple):
    """One tensor of a file: its shape, and its dtype as safetensors call it."""

    file: Path
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """A component's files, and what each tensor in them is; no weight is read for it.

    variant: the one that they are, None for the plain ones.
    """

    files: tuple[Path, ...]
    tensors: Mapping[str, Held]
    variant: str | None = None

    @classmethod
    def found(
        cls, part: str, folder: Path, library: str, variant: str | None = None
    ) -> "WeightFiles":
        """Those of a component's folder. Raises Fault, naming the file that is not what it says."""
        files = _files(part, folder, library, variant)
        tensors: dict[str, Held] = {}
        for file in files:
            for key, held in _tensors(part, file):
                if key in tensors:
                    raise Wrong(part, f"lies twice, in {tensors[key].file.name} too", FETCH, file)
                tensors[key] = held
        _require_plain(part, tensors)
        return cls(files, tensors, variant)

    def read(self, device: torch.device) -> dict[str, Tensor]:
        """Every tensor, mapped where the device is the CPU."""
        weights: dict[str, Tensor] = {}
        for file in self.files:
            if file.suffix == ".safetensors":
                weights.update(load_file(file, device=str(device)))
            else:
                weights.update({k: t.to(device) for k, t in _unpickled(file).items()})
        return weights


def require_whole(part: str, file: Path, fix: str = FETCH) -> None:
    """Raise Fault where a file is missing, empty, or the pointer that git has in its place."""
    if not file.is_file():
        dangling = file.is_symlink()
        raise Fault(part, "is a link to nothing" if dangling else "is missing", fix, file)
    with file.open("rb") as opened:
        beginning = opened.read(len(POINTER))
    if not beginning:
        raise Fault(part, "is empty", fix, file)
    if beginning == POINTER:
        raise Fault(part, "is a git LFS pointer, not the file itself", PULL, file)


def read_json(part: str, file: Path) -> dict[str, Any]:
    """A file's JSON object. Raises Fault where it is missing or holds no object."""
    require_whole(part, file)
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise Fault(part, "is no JSON", FETCH, file, detail=error) from error
    if not isinstance(content, dict):
        raise Wrong(part, "holds no JSON object", FETCH, file)
    return content


def _files(part: str, folder: Path, library: str, variant: str | None) -> tuple[Path, ...]:
    """The one file, or those that an index names; safetensors before pickles."""
    for name in STEMS[library]:
        index = folder / inserted(f"{name}.index.json", variant)
        if index.exists() or index.is_symlink():
            return tuple(_shards(part, index))
        file = folder / inserted(name, variant)
        if file.exists() or file.is_symlink():
            require_whole(part, file)
            return (file,)
    wanted = folder / STEMS[library][0]
    others = sorted(one.name for one in folder.glob("*") if one.suffix in WEIGHT_SUFFIXES)
    if not others:
        raise Fault(part, "is missing", "complete the folder", wanted)
    what = f"has no {wanted.name}, but {', '.join(others[:3])}"
    fix = f"load it with {library} and save_pretrained(), which writes {wanted.name}"
    raise Fault(part, what, fix, folder)


def _shards(part: str, index: Path) -> Iterator[Path]:
    shards = read_json(part, index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise Wrong(part, "names no shards (weight_map)", FETCH, index)
    for name in sorted({str(shard) for shard in shards.values()}):
        if Path(name).name != name:
            raise Wrong(part, "names a shard outside of its folder", FETCH, index, detail=name)
        require_whole(part, index.parent / name)
        yield index.parent / name


def _tensors(part: str, file: Path) -> Iterator[tuple[str, Held]]:
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as opened:
                keys: list[str] = opened.keys()  # it is no mapping
                for key in keys:
                    tensor = opened.get_slice(key)
                    yield key, Held(file, tuple(tensor.get_shape()), tensor.get_dtype())
            return
        for key, weight in _unpickled(file).items():
            dtype = "F32" if weight.is_floating_point() else str(weight.dtype)
            yield key, Held(file, tuple(weight.shape), dtype)
    except (SafetensorError, RuntimeError, UnpicklingError) as error:  # the last two of a pickle
        raise Fault(part, "is cut short or damaged", FETCH, file, detail=error) from error


def _unpickled(file: Path) -> dict[str, Tensor]:
    """A pickle's tensors, mapped; nothing but tensors is ever unpickled."""
    content = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    if not isinstance(content, dict) or not all(isinstance(t, Tensor) for t in content.values()):
        raise UnpicklingError("it holds more than tensors by name")
    return content


def _require_plain(part: str, tensors: Mapping[str, Held]) -> None:
    """Raise Wrong for weights that are not the numbers that they stand for."""
    for key, held in tensors.items():
        if QUANTISED.search(key):
            what = "is quantised (scaled float8, or 8 or 4 bits)"
            raise Wrong(part, what, UNQUANTISED, held.file, key)
        if key.endswith(".weight") and held.dtype not in FLOATS:
            what = f"holds {held.dtype} where weights belong"
            raise Wrong(part, what, UNQUANTISED, held.file, key)
