"""A profile is held against its family at start: what the model cannot do is refused by entry."""

from typing import Any

import pytest
from pydantic import ValidationError

from deployments.diffusion.families.load import FAMILIES, load_family
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.weights.components import ModelUnavailable
from tests.unit.diffusion.conftest import ProfileOf

QWEN = ("qwen-image", "qwen-image-edit")
READS = {"z-image": 512, "sdxl": 77, "flux": 512, "flux2-klein": 512} | dict.fromkeys(QWEN, 1024)
DRAWS = {"z-image": 16, "sdxl": 8, "flux": 16, "flux2-klein": 16} | dict.fromkeys(QWEN, 16)


def changed(profile: DiffusionProfile, **entries: dict[str, Any]) -> DiffusionProfile:
    told = profile.model_dump(mode="json")
    for entry, changes in entries.items():
        told[entry] |= changes
    return DiffusionProfile.model_validate(told)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_model_can_do_is_taken(profiles: ProfileOf, family: str) -> None:
    most, multiple = READS[family], DRAWS[family]
    profile = profiles[family](max_prompt_tokens=most)

    load_family(changed(profile, sizes={"multiple": multiple}))


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_longer_than_its_positions(profiles: ProfileOf, family: str) -> None:
    most = READS[family]
    with pytest.raises(
        ModelUnavailable, match=rf"engine\.max_prompt_tokens: {most + 1} .* the {most}"
    ):
        load_family(profiles[family](max_prompt_tokens=most + 1))


@pytest.mark.parametrize("multiple", [1, 4])
@pytest.mark.parametrize("entry", ["sizes", "hires"])
@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_that_would_be_rounded(
    profiles: ProfileOf, family: str, entry: str, multiple: int
) -> None:
    profile = profiles[family]()
    change: dict[str, Any] = {"multiple": multiple}
    if entry == "hires":
        assert profile.hires is not None
        change = {"sizes": profile.hires.sizes.model_dump(mode="json") | change}
    name = {"sizes": r"sizes\.multiple", "hires": r"hires\.sizes\.multiple"}[entry]

    with pytest.raises(ModelUnavailable, match=rf"^{name}: {multiple} is no multiple of"):
        load_family(changed(profile, **{entry: change}))


def test_sides_that_z_image_has_no_positions_for(profiles: ProfileOf) -> None:
    with pytest.raises(ModelUnavailable, match=r"sizes\.max_side: 1040 is more than the 1024"):
        load_family(changed(profiles["z-image"](), sizes={"max_side": 1040}))


def test_a_profile_whose_own_guidance_its_model_refuses(profiles: ProfileOf) -> None:
    with pytest.raises(ModelUnavailable, match=r"defaults: guidance_scale: 0\.5"):
        load_family(changed(profiles["sdxl"](), guidance={"default": 0.5}))


def test_a_default_beyond_the_most(profiles: ProfileOf) -> None:
    with pytest.raises(ValidationError, match=r"guidance\.default: 5 is above max, 4"):
        changed(profiles["flux"](), guidance={"default": 5.0, "max": 4.0})


@pytest.mark.parametrize("family", ["z-image", "sdxl", "flux", "qwen-image"])
def test_references_that_the_model_does_not_read(profiles: ProfileOf, family: str) -> None:
    told = profiles[family]().model_dump(mode="json") | {"references": {"most": 1}}
    with pytest.raises(ModelUnavailable, match=r"references\.most: 1 .* reads none: leave it out"):
        load_family(DiffusionProfile.model_validate(told))
