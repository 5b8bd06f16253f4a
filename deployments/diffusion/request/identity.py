"""Which pictures are the same: one hash over everything that decides what is drawn.

Two requests with equal keys draw equal pictures; what only concerns words, formats or urgency has
no say. A profile counts as a whole, so that a new field of it is never forgotten, and so do the
parameters.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from deployments.diffusion.profile import DiffusionProfile, Source
from deployments.diffusion.request.params import GenerationParams

DRAWING = 1  # one more whenever the same request comes to draw another picture
BLOCKS = 16  # of each file of weights, spread evenly over it
BLOCK_BYTES = 64 * 2**10


def model_identity(profile: DiffusionProfile) -> str | None:
    """Hash of what draws: the profile, its weights, this code; None without the weights.

    A hub's weights are told by their revision. Weights in folders are told by each file's name,
    size, time of change, and bytes at 16 places of it: reading them whole takes too long.
    """
    folders = list(dict.fromkeys(_folders(profile)))
    if not all(folder.is_dir() for folder in folders):
        return None
    weights = [list(_traits(folder)) for folder in folders]
    return _hash([DRAWING, profile.model_dump(mode="json"), weights])


def request_key(drawn_by: str, params: GenerationParams, given: str | None) -> str:
    """Hash of one request to what has the identity `drawn_by`.

    given: hash of the fitted picture and mask that it starts from; None without one.
    """
    return _hash([drawn_by, asdict(params), given])


def _folders(part: object) -> Iterator[Path]:
    """Of all weights that a profile, or a part of it, names by a folder."""
    if isinstance(part, Source) and part.is_local:
        yield Path(part.location)
    elif isinstance(part, BaseModel):
        for _, value in part:
            yield from _folders(value)
    elif isinstance(part, Mapping):
        for value in part.values():
            yield from _folders(value)


def _traits(folder: Path) -> Iterator[tuple[str, int, int, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            facts = path.stat()
            name = path.relative_to(folder).as_posix()
            yield name, facts.st_size, facts.st_mtime_ns, _sample(path, facts.st_size)


def _sample(path: Path, size: int) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        for block in range(BLOCKS):
            file.seek(max(0, size - BLOCK_BYTES) * block // (BLOCKS - 1))
            found.update(file.read(BLOCK_BYTES))
    return found.hexdigest()


def _hash(parts: list[Any]) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
