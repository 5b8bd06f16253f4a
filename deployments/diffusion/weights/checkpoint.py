"""A hub model on this disk: fetched once, kept in the dtype that it runs in, its hashes known.

A pulled folder is complete when its manifest is there, which is written last: dtype, and the sha256
of every file. Whatever stops before that goes on where it stopped when it is called again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import httpx
import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.survey import Survey, require_folder
from deployments.diffusion.weights.unavailable import (
    Fault,
    ModelRefused,
    ModelUnavailable,
    without_paths,
)

MANIFEST = "signboard.json"
STAGING = ".download"
PATTERNS = ("model_index.json", *(f"*/*.{end}" for end in ("json", "safetensors", "txt", "jinja")))
CONFIGS = tuple(pattern for pattern in PATTERNS if not pattern.endswith("safetensors"))
CHUNK = 2**20

Told = Callable[[str], None]


class PullFailed(Exception):
    """The model could not be pulled, or is damaged; the message says why and what to do."""


def default_folder(source: ModelSource) -> Path:
    """Where a hub model is pulled to unless one says otherwise; named by revision and dtype."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    name = f"{source.source.replace('/', '--')}-{(source.revision or '')[:12]}-{source.dtype}"
    return cache / "signboard" / name


def pulled(source: ModelSource) -> Path | None:
    """The default folder, if the model was pulled into it completely."""
    folder = default_folder(source)
    return folder if not source.is_local and (folder / MANIFEST).is_file() else None


def surveyed(source: ModelSource) -> Survey:
    """What the model's folder holds by its configs: a local one, the one that it was pulled into,
    or the hub's cache, into which these are fetched.

    Raises ModelUnavailable for what is no checkpoint, or not this family's, or not whole.
    """
    folder = Path(source.location) if source.is_local else pulled(source)
    try:
        if folder is not None:
            require_folder(folder)
        return Survey.of(folder or _from_hub(source, CONFIGS), source.family)
    except Fault as fault:
        raise fault.told(source.title) from fault


def fetch_weights(source: ModelSource, survey: Survey) -> None:
    """Have the weights in the surveyed folder too, if it is the hub's cache."""
    if not source.is_local and pulled(source) is None:
        _from_hub(source, survey.weight_patterns)


def _from_hub(source: ModelSource, patterns: Collection[str]) -> Path:
    """The snapshot in the hub's cache, with its files that fit the patterns."""
    try:
        found = snapshot_download(
            source.source, revision=source.revision, allow_patterns=list(patterns)
        )
    except (OSError, httpx.HTTPError, HfHubHTTPError) as error:
        raise ModelUnavailable(
            f"model.source: the hub did not deliver {source.title!r}; see to the network, the "
            "name, the revision and the token; the log says more"
        ) from error
    except ValueError as error:  # of the name
        raise ModelRefused(f"model.source: {without_paths(error)}") from error
    return Path(found)


def pull(source: ModelSource, folder: Path, told: Told) -> None:
    """Fetch the pinned revision into `folder`, in the profile's dtype. Raises PullFailed."""
    if source.is_local:
        raise PullFailed(f"model.source: {source.source} is a folder already; nothing to pull")
    if (folder / MANIFEST).is_file():
        told("it is there; checking its hashes")
        verify(folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / STAGING
    told(f"fetching {source.source} at {source.revision}")
    expected = download(source, staging)
    told("checking what was fetched")
    check_hashes(staging, expected)
    convert(staging, folder, source.dtype, told)
    shutil.rmtree(staging)
    write_manifest(folder, source.dtype)


def download(source: ModelSource, staging: Path) -> Mapping[str, str]:
    """Fetch into `staging`, with a progress bar; what is there already is not fetched again.

    Returns the sha256 of each large file, as the hub has it.
    """
    patterns = list(PATTERNS)
    revision = source.revision
    try:
        snapshot_download(
            source.source, revision=revision, local_dir=staging, allow_patterns=patterns
        )
        info = HfApi().model_info(source.source, revision=revision, files_metadata=True)
    except (OSError, httpx.HTTPError, HfHubHTTPError) as error:
        raise PullFailed(
            f"{source.source}: the hub did not deliver ({type(error).__name__}); see to the "
            "network, the name and the revision, then run this again: what was fetched is kept"
        ) from error
    siblings = {file.rfilename: file.lfs for file in info.siblings or ()}
    return {name: lfs.sha256 for name, lfs in siblings.items() if lfs and (staging / name).exists()}


def convert(staging: Path, folder: Path, dtype: str, told: Told) -> None:
    """Bring every file from `staging` to `folder`, float32 weights as `dtype`, one at a time.

    Each file appears whole or not at all; those that are there already are kept.
    """
    files = [file for file in sorted(staging.rglob("*")) if file.is_file()]
    for file in files:
        name = file.relative_to(staging)
        target = folder / name
        if target.exists() or name.parts[0].startswith("."):
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
    for index in folder.rglob("*.safetensors.index.json"):
        _update_index(index)


def write_manifest(folder: Path, dtype: str) -> None:
    """Hash every file; from here on the folder counts as complete."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    hashes = {str(file.relative_to(folder)): sha256(file) for file in files}
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


def sha256(file: Path) -> str:
    """Of the file's bytes, in hex."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _cast_file(file: Path, target: Path, dtype: torch.dtype) -> None:
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    for name, tensor in tensors.items():
        if tensor.dtype == torch.float32:
            tensors[name] = tensor.to(dtype)
    save_file(tensors, target, metadata)


def _update_index(index: Path) -> None:
    """Make the index's total size that of the files beside it."""
    content = json.loads(index.read_text(encoding="utf-8"))
    total = 0
    for name in set(content["weight_map"].values()):
        total += sum(tensor.nbytes for tensor in load_file(index.parent / name).values())
    content["metadata"] = {**content.get("metadata", {}), "total_size": total}
    _write(index, json.dumps(content, indent=2, sort_keys=True))


def _write(file: Path, text: str) -> None:
    part = file.with_name(file.name + ".part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(file)
