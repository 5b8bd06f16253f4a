"""From a profile to the family that serves it."""

from collections.abc import Collection

from deployments.diffusion.components import SharedComponents
from deployments.diffusion.families import Family
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.profile import DiffusionProfile

FAMILIES = {"z-image": ZImage}


def load_family(profile: DiffusionProfile, on_host: Collection[str] = ()) -> Family:
    """The profile's model, ready to step. Raises ModelUnavailable.

    on_host: components that the residency to come does not put on the device as they are.
    """
    components = SharedComponents.load(profile.model, on_host)
    family = FAMILIES[profile.model.family]
    return family(components, profile.engine.max_prompt_tokens)
