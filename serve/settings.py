"""The application's arguments and the profile that they name, typed and strict."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from configs import profile_names, profile_path
from deployments.diffusion.profile import DiffusionProfile

MIB = 2**20


class AppArgs(BaseModel):
    """What `args:` of the Serve config may hold.

    profile: the name of a packaged profile, or the path of a YAML file.
    max_upload_bytes: of one uploaded file. max_pixels: of one uploaded picture.
    request_timeout_s: seconds after which a request is given up, waiting included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: str = "embedded"
    max_upload_bytes: int = Field(default=20 * MIB, gt=0)
    max_pixels: int = Field(default=40_000_000, gt=0)
    request_timeout_s: float = Field(default=300.0, gt=0)


def load_profile(name: str) -> DiffusionProfile:
    """Read a packaged profile by name, or any profile by path.

    A relative model folder or architecture is looked for beside the profile's file. Raises
    ValueError when there is no such profile, pydantic.ValidationError when it is not sound.
    """
    path = profile_path(name) if name in profile_names() else Path(name).expanduser()
    if not path.is_file():
        raise ValueError(
            f"profile: {name!r} is neither a file nor one of {', '.join(profile_names())}"
        )
    profile = DiffusionProfile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    beside = {
        key: str((path.parent / value).resolve())
        for key in ("source", "architecture")
        if (value := getattr(profile.model, key)) is not None and value.startswith(".")
    }
    return profile.model_copy(update={"model": profile.model.model_copy(update=beside)})
