"""Files of a hub's model: those that are needed, none of them fetched twice.

The hub's own client begins a file anew after a stop; here it goes on behind what has come.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import HfApi, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined] # documented so

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.on_disk import INDEX, parts_of
from deployments.diffusion.weights.unavailable import ModelRefused
from deployments.diffusion.weights.variants import named, variants_of

TEXTS = (".json", ".txt", ".jinja", ".model")
PART = ".part"
CHUNK = 2**20


class PullFailed(Exception):
    """The model could not be pulled, or is damaged; the message says why and what to do."""


def download(source: ModelSource, staging: Path) -> Path:
    """The folder within `staging` that has the model's files, one variant of its weights.

    Each is there whole, in the bytes that the hub has, or as a part that the next call goes on
    with. Shows a progress bar. Raises PullFailed.
    """
    try:
        info = HfApi().model_info(source.source, revision=source.revision, files_metadata=True)
        folder = staging / str(info.sha)
        files = {file.rfilename: file for file in info.siblings or ()}
        if INDEX not in files:
            raise PullFailed(f"{source.source}: no {INDEX}: it is no checkpoint of diffusers")
        _fetch(source, files[INDEX], folder)
        for name in _wanted(files, parts_of(folder / INDEX), source.variant):
            _fetch(source, files[name], folder)
    except GatedRepoError as error:
        raise PullFailed(
            f"{source.source}: its makers ask who you are; accept their terms on the hub, then log "
            "in (`hf auth login`, or HF_TOKEN) and run this again"
        ) from error
    except (OSError, HTTPError) as error:
        raise PullFailed(
            f"{source.source}: the hub did not deliver ({type(error).__name__}); see to the "
            "network, the name and the revision, then run this again: what was fetched is kept"
        ) from error
    return folder


def _fetch(source: ModelSource, file: RepoSibling, folder: Path) -> None:
    target = folder / file.rfilename
    if target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + PART)
    cached = try_to_load_from_cache(source.source, file.rfilename, revision=folder.name)
    if isinstance(cached, str):
        shutil.copyfile(cached, part)
    begun = part.stat().st_size if part.is_file() else 0
    with part.open("ab") as opened:
        http_get(
            hf_hub_url(source.source, file.rfilename, revision=source.revision),
            opened,
            resume_size=begun,
            headers=build_hf_headers(),
            expected_size=file.size,
            displayed_filename=file.rfilename,
        )
    if file.lfs and sha256(part) != file.lfs.sha256:
        part.unlink()
        raise PullFailed(f"{file.rfilename}: it came damaged, and was dropped; run this again")
    part.replace(target)


def sha256(file: Path) -> str:
    """Of the file's bytes, in hex."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _wanted(files: Iterable[str], parts: Iterable[str], variant: str | None) -> Iterator[str]:
    """The names that are needed of these parts. Raises PullFailed for weights that cannot be."""
    inside: dict[str, list[str]] = {part: [] for part in parts}
    for file in files:
        part, _, name = file.partition("/")
        if part in inside:
            inside[part].append(name)
    weights = {part: list(filter(_is_safetensors, names)) for part, names in inside.items()}
    try:
        variants = variants_of(weights, variant)
    except ModelRefused as error:
        raise PullFailed(str(error)) from error
    for part, names in inside.items():
        if any(map(named, names)) and not weights[part]:
            raise PullFailed(f"{part}: its weights are not there as safetensors")
        for name in names:
            of_weights = named(name)
            if of_weights is None:
                if name.endswith(TEXTS):
                    yield f"{part}/{name}"
            elif name in weights[part] and of_weights.variant == variants[part]:
                yield f"{part}/{name}"


def _is_safetensors(name: str) -> bool:
    found = named(name)
    return found is not None and found.format == "safetensors"
