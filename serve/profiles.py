"""Profiles by name or path; alone knows how their files are read and what lies beside them.

The command imports it before it knows what it is asked for, so it brings no model's library.
"""

from pathlib import Path
from typing import TypeVar

import yaml

from configs import profile_names, profile_path
from deployments.diffusion.profile import DiffusionProfile, Source

SourceT = TypeVar("SourceT", bound=Source)


def load_profile(name: str) -> DiffusionProfile:
    """Read a packaged profile by name, or any profile by path.

    A relative folder, of the model or of a style, or a relative architecture is looked for beside
    the profile's file. Raises ValueError when there is no such profile, pydantic.ValidationError
    when it is not sound.
    """
    path = profile_path(name) if name in profile_names() else Path(name).expanduser()
    if not path.is_file():
        raise ValueError(
            f"profile: {name!r} is neither a file nor one of {', '.join(profile_names())}"
        )
    profile = DiffusionProfile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    model = _beside(path, profile.model)
    if model.architecture is not None and model.architecture.startswith("."):
        architecture = str((path.parent / model.architecture).resolve())
        model = model.model_copy(update={"architecture": architecture})
    styles = {name: _beside(path, style) for name, style in profile.styles.items()}
    return profile.model_copy(update={"model": model, "styles": styles})


def _beside(profile: Path, source: SourceT) -> SourceT:
    """The source with a relative folder made absolute."""
    if not source.source.startswith("."):
        return source
    return source.model_copy(update={"source": str((profile.parent / source.source).resolve())})
