"""From a profile to the family that serves it."""

from deployments.diffusion.components import SharedComponents
from deployments.diffusion.families import Family
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.profile import DiffusionProfile

FAMILIES = {"z-image": ZImage}


def load_family(profile: DiffusionProfile) -> Family:
    """The profile's model, ready to step. Raises ModelUnavailable."""
    return family_of(profile, SharedComponents.load(profile.model))


def family_of(profile: DiffusionProfile, components: SharedComponents) -> Family:
    """The profile's family over components that are there already."""
    family = FAMILIES[profile.model.family]
    return family(components, profile.engine.max_prompt_tokens)
