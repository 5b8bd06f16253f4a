"""Styles added to an engine as the application adds them, without HTTP."""

from pathlib import Path
from typing import Any

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.load import load_family
from deployments.diffusion.profile import DiffusionProfile, Relief
from deployments.diffusion.request.params import AddedStyle
from deployments.diffusion.styles.added import StyleFolder, StyleRecord

DEADLINE_S = 200
ROOM = 8 * 2**20


def with_room(profile: DiffusionProfile, most_bytes: int = ROOM) -> DiffusionProfile:
    """The profile, with room for added styles."""
    limits = profile.engine.model_copy(update={"added_styles_bytes": most_bytes})
    return profile.model_copy(update={"engine": limits})


def engine_of(
    profile: DiffusionProfile, folder: StyleFolder, reliefs: tuple[Relief, ...] = ()
) -> Engine:
    """One that is ready and follows the folder."""
    engine = Engine(profile, lambda told: load_family(profile, told), reliefs, folder)
    engine.wait_until_ready(DEADLINE_S)
    return engine


def add(engine: Engine, folder: StyleFolder, name: str, path: Path, **about: Any) -> AddedStyle:
    """Check a file, keep it, have the engine hold it; the style as requests ask for it."""
    most, settings = engine.profile.engine.added_styles_bytes, about.get("settings")
    told = {"licence": "own", "description": "test", **about}
    with path.open("rb") as file, folder.incoming(file, settings, most) as (half, digest):
        nbytes = engine.weigh_style(half, settings).result(DEADLINE_S)
        record = StyleRecord(digest=digest, nbytes=nbytes, **told)
        folder.add(name, record, half, most)
    engine.follow_styles().result(DEADLINE_S)
    return record.named(name)
