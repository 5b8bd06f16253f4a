"""Where a model's files lie on this machine, without a library that loads them."""

import json
import os
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from deployments.diffusion.profile import ModelSource

INDEX = "model_index.json"
MANIFEST = "signboard.json"
WEIGHTS = ("*.safetensors", "*.bin")


def default_folder(source: ModelSource) -> Path:
    """Where a hub model is pulled to unless one says otherwise; named by all that decides what."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    parts = (source.source.replace("/", "--"), (source.revision or "")[:12], source.dtype)
    return cache / "signboard" / "-".join((*parts, *filter(None, [source.variant])))


def pulled(source: ModelSource) -> Path | None:
    """The default folder, if the model was pulled into it completely."""
    folder = default_folder(source)
    return folder if not source.is_local and (folder / MANIFEST).is_file() else None


def is_here(source: ModelSource) -> bool:
    """Whether nothing has to be fetched before the model can be loaded."""
    if source.is_local:
        return Path(source.location).is_dir()
    return pulled(source) is not None or _is_cached(source)


def parts_of(index: Path) -> list[str]:
    """The components that a model_index.json names; [null, null] is one that is not there."""
    content = json.loads(index.read_text(encoding="utf-8"))
    entries = {name: entry for name, entry in content.items() if isinstance(entry, list)}
    return [name for name, entry in entries.items() if entry[0] is not None]


def _is_cached(source: ModelSource) -> bool:
    """Whether the hub's own cache has it: every component, weights included."""
    try:
        found = snapshot_download(source.source, revision=source.revision, local_files_only=True)
    except LocalEntryNotFoundError:
        return False
    folder = Path(found)
    if not (folder / INDEX).is_file():
        return False
    parts = [folder / name for name in parts_of(folder / INDEX)]
    modules = [part for part in parts if (part / "config.json").is_file()]
    weighed = (any(any(part.glob(end)) for end in WEIGHTS) for part in modules)
    return all(part.is_dir() for part in parts) and all(weighed)
