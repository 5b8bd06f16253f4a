"""From a profile to the family that serves it."""

from collections.abc import Callable, Mapping

from deployments.diffusion.components import SharedComponents
from deployments.diffusion.families import Family
from deployments.diffusion.families.flux import Flux
from deployments.diffusion.families.sdxl import SDXL
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.profile import DiffusionProfile, Style
from deployments.diffusion.styles import load_style

FAMILIES: dict[str, Callable[[SharedComponents, int], Family]] = {
    "z-image": ZImage,
    "sdxl": SDXL,
    "flux": Flux,
}


def load_family(profile: DiffusionProfile) -> Family:
    """The profile's model with its styles, ready to step. Raises ModelUnavailable."""
    family = family_of(profile, SharedComponents.load(profile.model))
    return with_styles(family, profile.styles)


def family_of(profile: DiffusionProfile, components: SharedComponents) -> Family:
    """The profile's family, without styles, over components that are there already."""
    family = FAMILIES[profile.model.family]
    return family(components, profile.engine.max_prompt_tokens)


def with_styles(family: Family, styles: Mapping[str, Style]) -> Family:
    """The family with these styles loaded too. Raises ModelUnavailable, naming the style."""
    layers = family.styled_layers()
    for name, style in styles.items():
        adapter = load_style(name, style, layers, family.components)
        family.components.adapters.add(name, adapter)
    return family
