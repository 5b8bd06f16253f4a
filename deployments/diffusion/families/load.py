"""From a profile to the family that serves it."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import _dynamo as dynamo
from torch.fx.experimental import _config as symbols

from deployments.diffusion.families.base import Family, Uses
from deployments.diffusion.families.flux import Flux
from deployments.diffusion.families.flux2_klein import Flux2Klein
from deployments.diffusion.families.qwen_image import QwenImage
from deployments.diffusion.families.qwen_image_edit import QwenImageEdit
from deployments.diffusion.families.sdxl import SDXL
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.profile import DiffusionProfile, Relief, Style
from deployments.diffusion.request import GenerationParams
from deployments.diffusion.sizes import parse_size
from deployments.diffusion.styles import StyleUnfit, load_style
from deployments.diffusion.weights import (
    ModelRefused,
    ModelUnavailable,
    SharedComponents,
    without_paths,
)
from deployments.errors import InvalidValue

LoadFamily = Callable[[DiffusionProfile, Collection[Relief]], Family]
FAMILIES: dict[str, type[ZImage | SDXL | Flux | Flux2Klein | QwenImage | QwenImageEdit]] = {
    "z-image": ZImage,
    "sdxl": SDXL,
    "flux": Flux,
    "flux2-klein": Flux2Klein,
    "qwen-image": QwenImage,
    "qwen-image-edit": QwenImageEdit,
}
VARIANTS = 32  # of one block: with and without a mask, a style of modulation, one row or several


def load_family(profile: DiffusionProfile, reliefs: Collection[Relief] = ()) -> Family:
    """The profile's model with its styles, ready to step. Raises ModelUnavailable.

    reliefs: what they do not put on the device as it is, is loaded beside it.
    """
    make = FAMILIES[profile.model.family]
    components = SharedComponents.load(profile.model, loaded_on_host(make.uses, reliefs))
    if profile.model.compile:
        if "streamed_blocks" in reliefs:
            raise ModelRefused(
                "model.compile: blocks that are streamed from host memory cannot be compiled; set "
                "it to false, or give the model more memory"
            )
        compile_modules(components, make.uses)
    return with_styles(family_of(profile, components), profile.styles)


def loaded_on_host(uses: Uses, reliefs: Collection[Relief]) -> tuple[str, ...]:
    """The components to load into host memory, since not all of them would fit the device."""
    shrunk = "fp8_storage" in reliefs
    encoders = uses["encode"] if shrunk or "text_encoder_on_host" in reliefs else ()
    denoiser = uses["forward"] if shrunk or "streamed_blocks" in reliefs else ()
    return (*encoders, *denoiser)


def family_of(profile: DiffusionProfile, components: SharedComponents) -> Family:
    """The profile's family, without styles, over components that are there already.

    Raises ModelUnavailable, naming the entry, for a profile that asks for what the model cannot do.
    """
    make = FAMILIES[profile.model.family]
    missing = {name for names in make.uses.values() for name in names} - components.modules.keys()
    if missing:
        raise ModelRefused(
            f"model.source: {profile.model.title!r} is a {profile.model.family} without "
            f"{', '.join(sorted(missing))}; give a whole checkpoint, or name its own model.family"
        )
    family = make(components, profile.engine.max_prompt_tokens)
    _require_possible(profile, family)
    return family


def may_guide(profile: DiffusionProfile) -> bool:
    """Whether guidance may have rows take part in forwards twice."""
    return profile.guidance.max > FAMILIES[profile.model.family].guided_above


def _require_possible(profile: DiffusionProfile, family: Family) -> None:
    """Raise ModelUnavailable unless the model can do what the profile promises."""
    bounds, asked = family.bounds, profile.engine.max_prompt_tokens
    if asked > bounds.prompt_tokens:
        raise ModelRefused(
            f"engine.max_prompt_tokens: {asked} is more than the {bounds.prompt_tokens} that the "
            "model reads"
        )
    ranges = {"sizes": profile.sizes}
    if profile.hires is not None:
        ranges["hires.sizes"] = profile.hires.sizes
    for entry, sizes in ranges.items():
        if sizes.multiple % bounds.multiple:
            raise ModelRefused(
                f"{entry}.multiple: {sizes.multiple} is no multiple of {bounds.multiple}, and this "
                f"model draws sides in steps of {bounds.multiple} pixels"
            )
        if bounds.max_side is not None and sizes.max_side > bounds.max_side:
            raise ModelRefused(
                f"{entry}.max_side: {sizes.max_side} is more than the {bounds.max_side} pixels "
                "that the model has positions for"
            )
    wanted = profile.references.most if profile.references else 0
    if wanted > bounds.references:
        read = f"at most {bounds.references}" if bounds.references else "none: leave it out"
        raise ModelRefused(f"references.most: {wanted} are asked for; this model reads {read}")
    width, height = parse_size(profile.sizes.default)
    guidance = profile.guidance.default
    usual = GenerationParams(
        "a", width, height, profile.steps.default, seed=0, guidance_scale=guidance
    )
    try:
        family.check(usual)
    except InvalidValue as error:
        raise ModelRefused(f"the profile's own defaults: {error}") from error


def with_styles(family: Family, styles: Mapping[str, Style]) -> Family:
    """The family with these styles loaded too. Raises ModelUnavailable, naming the style."""
    layers = family.styled_layers()
    for name, style in styles.items():
        try:
            adapter = load_style(style, layers, family.components.dtype)
        except (OSError, StyleUnfit) as error:
            refusal = ModelUnavailable if isinstance(error, OSError) else ModelRefused
            raise refusal(
                f"styles.{name}: {style.file!r} of {style.title!r}: {without_paths(error)}; give a "
                "LoRA file made for this model, or take the style out of the profile"
            ) from error
        family.components.adapters.add(name, adapter.placed(family.components.device))
    return family


def compile_modules(components: SharedComponents, uses: Uses) -> None:
    """Compile the repeated blocks of what denoises, and the decoder of what decodes, in place.

    Nothing is compiled yet: the first call of each pays for it. Sizes are symbols from the start,
    so that a new size or number of rows finds its code ready. A block of which there are more than
    VARIANTS runs as it was written: slower, not wrong.
    """
    symbols.use_duck_shape = False  # else a square first picture makes code for squares alone
    dynamo.config.recompile_limit = max(dynamo.config.recompile_limit, VARIANTS)
    for name in uses["forward"]:
        denoiser: Any = components.modules[name]
        denoiser.compile_repeated_blocks(dynamic=True)
    for name in uses["decode"]:
        decoder: Any = components.modules[name].decoder
        assert isinstance(decoder, torch.nn.Module)
        decoder.compile(dynamic=True)
