"""From a profile to the family that serves it."""

from collections.abc import Callable

from deployments.diffusion.components import SharedComponents
from deployments.diffusion.families import Family
from deployments.diffusion.families.flux import Flux
from deployments.diffusion.families.sdxl import SDXL
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.profile import DiffusionProfile

FAMILIES: dict[str, Callable[[SharedComponents, int], Family]] = {
    "z-image": ZImage,
    "sdxl": SDXL,
    "flux": Flux,
}


def load_family(profile: DiffusionProfile) -> Family:
    """The profile's model, ready to step. Raises ModelUnavailable."""
    components = SharedComponents.load(profile.model)
    family = FAMILIES[profile.model.family]
    return family(components, profile.engine.max_prompt_tokens)
