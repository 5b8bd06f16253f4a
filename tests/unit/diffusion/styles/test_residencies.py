"""Styles wherever the weights lie: of every family, on what denoises and on what reads prompts."""

from pathlib import Path

import numpy as np
import pytest

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.load import load_family
from deployments.diffusion.profile import DiffusionProfile, Relief
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import ProfileOf
from tests.unit.diffusion.requests import text_to_image
from tests.unit.diffusion.styles.test_parity import random_pairs, styled, written

DEADLINE_S = 200


def drawn(profile: DiffusionProfile, reliefs: tuple[Relief, ...], style: str | None) -> np.ndarray:
    engine = Engine(profile, lambda told: load_family(profile, told), reliefs)
    try:
        engine.wait_until_ready(DEADLINE_S)
        params, _ = text_to_image(style=style)
        picture: np.ndarray = engine.submit("one", params).result(DEADLINE_S).pictures[0]
    finally:
        engine.close()
    return picture


@pytest.mark.parametrize("family", ["z-image", "sdxl", "flux"])
def test_a_style_is_the_same_wherever_the_weights_lie(
    profiles: ProfileOf, tmp_path: Path, family: str
) -> None:
    profile = profiles[family]()
    path = written(random_pairs(profile, seed=1), tmp_path / "one.safetensors", alpha=4.0)
    profile = styled(profile, {"one": (path, 1.0)})
    resident = drawn(profile, (), "one")
    moved = drawn(profile, ("text_encoder_on_host", "streamed_blocks"), "one")
    assert_same_picture(resident, moved)
    assert np.abs(resident.astype(int) - drawn(profile, (), None)).mean() > 2


def test_a_style_is_worn_over_weights_of_8_bits(profiles: ProfileOf, tmp_path: Path) -> None:
    profile = profiles["z-image"]()
    path = written(random_pairs(profile, seed=1), tmp_path / "one.safetensors", alpha=4.0)
    profile = styled(profile, {"one": (path, 1.0)})
    resident = drawn(profile, (), "one").astype(int)
    small = drawn(profile, ("fp8_storage",), "one")
    plain = drawn(profile, ("fp8_storage",), None)
    assert np.abs(small - resident).mean() < np.abs(small.astype(int) - plain).mean() / 2
