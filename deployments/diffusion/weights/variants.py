"""Files of weights by variant: `model.fp16.safetensors` is `model.safetensors` in its fp16 form.

A folder may hold several variants side by side. One is read, and its plain name is what it has once
the model was pulled.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from deployments.diffusion.weights.unavailable import ModelRefused

STEM = r"^(?P<stem>diffusion_pytorch_model|pytorch_model|model)"
FORMAT = r"\.(?P<format>safetensors|bin)"
FILE = re.compile(
    STEM + r"(\.(?P<variant>[^.]+?))?(?P<shard>-\d+-of-\d+)?(\.(?P<last>[^.]+))?" + FORMAT + "$"
)
SHARDS = re.compile(STEM + FORMAT + r"\.index(\.(?P<variant>[^.]+))?\.json$")


class Named(NamedTuple):
    """A file's name without its variant; the variant, None for the plain files; its format."""

    plain: str
    variant: str | None
    format: str


def named(file: str) -> Named | None:
    """What a file's name says, if it is one of weights, or of the index of their shards."""
    if found := SHARDS.match(file):
        plain = f"{found['stem']}.{found['format']}.index.json"
        return Named(plain, found["variant"], found["format"])
    if found := FILE.match(file):  # older files of several shards have their variant last
        plain = f"{found['stem']}{found['shard'] or ''}.{found['format']}"
        return Named(plain, found["variant"] or found["last"], found["format"])
    return None


def plain_name(file: str) -> str:
    """The name that a file has when it is the only variant."""
    found = named(file)
    return found.plain if found else file


def inserted(plain: str, variant: str | None) -> str:
    """A plain name (of one file, or of an index) as the variant's files have it."""
    if variant is None:
        return plain
    stem, end = plain.rsplit(".", 1)
    return f"{stem}.{variant}.{end}"


def variants_of(parts: Mapping[str, Iterable[str]], asked: str | None) -> Mapping[str, str | None]:
    """Which variant each part is read in: the one asked for, or the plain one where a part has none
    of that. parts: the names of each one's files.

    Raises ModelRefused("model.variant"), saying what there is, where neither is there.
    """
    here: dict[str, set[str | None]] = {}
    for part, files in parts.items():
        found = {one.variant for file in files if (one := named(file))}
        if found:
            here[part] = found
    if asked is not None and here and not any(asked in found for found in here.values()):
        every = set().union(*here.values())
        raise ModelRefused(f"model.variant: there are no weights of {asked!r}, but {_told(every)}")
    for part, found in here.items():
        if not found & {asked, None}:
            lacks = (
                "no plain weights" if asked is None else f"no weights of {asked!r}, nor plain ones"
            )
            raise ModelRefused(
                f"model.variant: the {part} has {lacks}, but {_told(found)}; set it to one of these"
            )
    return {part: asked if asked in found else None for part, found in here.items()}


def files_by_part(folder: Path, parts: Iterable[str]) -> dict[str, list[str]]:
    """The names of the files of those components that have a folder."""
    folders = {part: folder / part for part in parts if (folder / part).is_dir()}
    return {part: [file.name for file in inside.iterdir()] for part, inside in folders.items()}


def _told(found: set[str | None]) -> str:
    named = sorted(repr(variant) for variant in found - {None})
    return ", ".join([*named, *(["plain ones: leave it out"] if None in found else [])])
