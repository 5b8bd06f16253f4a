"""The packaged profile of the embedded model, with other settings of its engine."""

from typing import Any

from deployments.diffusion.profile import DiffusionProfile
from serve.profiles import load_profile


def embedded(**engine: Any) -> DiffusionProfile:
    """It, with these of the engine's settings changed."""
    return changed(load_profile("embedded"), **engine)


def changed(profile: DiffusionProfile, **engine: Any) -> DiffusionProfile:
    """The profile with other settings of its engine, checked anew."""
    told = profile.model_dump(mode="json")
    return DiffusionProfile.model_validate({**told, "engine": {**told["engine"], **engine}})
