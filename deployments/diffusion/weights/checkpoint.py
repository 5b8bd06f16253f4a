"""A hub model on this disk: fetched once, kept in the dtype that it runs in, its hashes known.

A pulled folder is complete when its manifest is there, which is written last: dtype, and the sha256
of every file. Whatever stops before that goes on where it stopped when it is called again.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.download import PullFailed as PullFailed
from deployments.diffusion.weights.download import download, sha256
from deployments.diffusion.weights.on_disk import MANIFEST
from deployments.diffusion.weights.variants import plain_name

STAGING = ".download"

Told = Callable[[str], None]


def pull(source: ModelSource, folder: Path, told: Told) -> None:
    """Fetch the pinned revision into `folder`, in the profile's dtype. Raises PullFailed."""
    if source.is_local:
        raise PullFailed(f"model.source: {source.source} is a folder already; nothing to pull")
    staging = folder / STAGING
    if (folder / MANIFEST).is_file():
        told("it is there; checking its hashes")
        verify(folder)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        variant = f", its {source.variant} files" if source.variant else ""
        told(f"fetching {source.source} at {source.revision}{variant}")
        convert(download(source, staging), folder, source.dtype, told)
        write_manifest(folder, source.dtype)
    shutil.rmtree(staging, ignore_errors=True)  # last: a stop before this fetches nothing again


def convert(staging: Path, folder: Path, dtype: str, told: Told) -> None:
    """Bring every file from `staging` to `folder`, under its plain name, weights as `dtype` unless
    they would grow.

    Each file appears whole or not at all; those that are there already are kept.
    """
    for file in sorted(staging.rglob("*")):
        name = file.relative_to(staging)
        target = folder / name.with_name(plain_name(name.name))
        if target.exists() or not file.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        if file.suffix == ".safetensors":
            told(str(name))
            _cast_file(file, part, getattr(torch, dtype))
        else:
            shutil.copyfile(file, part)
        part.chmod(0o644)  # safetensors are written for their owner alone
        part.replace(target)
    for index in folder.glob("*/*.safetensors.index.json"):
        _update_index(index)


def write_manifest(folder: Path, dtype: str) -> None:
    """Hash every file; from here on the folder counts as complete."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    names = [file.relative_to(folder) for file in files]
    hashes = {str(name): sha256(folder / name) for name in names if name.parts[0] != STAGING}
    _write(folder / MANIFEST, json.dumps({"dtype": dtype, "sha256": hashes}, indent=2))


def verify(folder: Path) -> None:
    """Raise PullFailed if a file of a pulled folder is missing or not what was pulled."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    check_hashes(folder, manifest["sha256"])


def check_hashes(folder: Path, expected: Mapping[str, str]) -> None:
    """Raise PullFailed, naming the first file that is missing or whose sha256 is another."""
    for name, digest in expected.items():
        file = folder / name
        if not file.is_file():
            raise PullFailed(f"{name}: missing; delete {folder} and pull again")
        if sha256(file) != digest:
            raise PullFailed(f"{name}: damaged; delete {folder} and pull again")


def _cast_file(file: Path, target: Path, dtype: torch.dtype) -> None:
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    for name, tensor in tensors.items():
        if tensor.dtype in (torch.float32, torch.float16) and tensor.itemsize >= dtype.itemsize:
            tensors[name] = tensor.to(dtype)
    save_file(tensors, target, metadata)


def _update_index(index: Path) -> None:
    """Make the index's names, and its total size, those of the files beside it."""
    content = json.loads(index.read_text(encoding="utf-8"))
    shards = {key: plain_name(shard) for key, shard in content["weight_map"].items()}
    content["weight_map"] = shards
    total = 0
    for name in set(shards.values()):
        total += sum(tensor.nbytes for tensor in load_file(index.parent / name).values())
    content["metadata"] = {**content.get("metadata", {}), "total_size": total}
    _write(index, json.dumps(content, indent=2, sort_keys=True))


def _write(file: Path, text: str) -> None:
    part = file.with_name(file.name + ".part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(file)
