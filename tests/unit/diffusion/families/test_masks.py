"""What a mask's levels do, in latents and on pixels, in every family."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from deployments.diffusion.engine.preparation import paste_back
from deployments.diffusion.families.load import FAMILIES
from deployments.diffusion.request.request import Row
from deployments.diffusion.weights.components import SharedComponents
from deployments.handover import Given
from tests.unit.diffusion.conftest import MakeEngine, ProfileOf
from tests.unit.diffusion.requests import image_to_image, picture

HALF = 128


def watching(family: str) -> type:
    """The family's class, noting after each step what was put back, and decoded pictures."""
    base: Any = FAMILIES[family]

    class Watching(base):
        def __init__(self, components: SharedComponents, max_prompt_tokens: int) -> None:
            super().__init__(components, max_prompt_tokens)
            self.put_back: list[tuple[float, NDArray[np.bool_]]] = []
            self.decoded: list[NDArray[np.uint8]] = []

        def after_step(self, row: Row, velocity: torch.Tensor) -> None:
            if row.inpainting is None:
                return super().after_step(row, velocity)
            mask, free = row.inpainting.mask, torch.ones_like(row.inpainting.mask)
            latents = row.latents.clone()
            object.__setattr__(row.inpainting, "mask", free)
            generator = row.generator.get_state() if row.generator else None
            super().after_step(row, velocity)  # as if nothing were protected
            drawn, row.latents = row.latents, latents
            if row.generator and generator is not None:
                row.generator.set_state(generator)
            object.__setattr__(row.inpainting, "mask", mask)
            super().after_step(row, velocity)
            changed = (row.latents != drawn).any(dim=1)[0]
            return self.put_back.append((row.steps_left, changed.numpy()))

        def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
            self.decoded.append(super().decode(latents, tiled=tiled))
            return self.decoded[-1]

    return Watching


@pytest.mark.parametrize("family", FAMILIES)
def test_levels_say_from_which_step_on_it_is_redrawn(
    family: str, profiles: ProfileOf, make_engine: MakeEngine
) -> None:
    engine = make_engine(profiles[family](), watching(family))
    watched: Any = engine._loaded.family
    watched.put_back.clear()
    watched.decoded.clear()
    params, given = image_to_image(num_inference_steps=8, strength=1.0, seed=5)
    mask = np.zeros(given.picture.shape[:2], np.uint8)
    third = mask.shape[0] // 4
    mask[third : 2 * third] = HALF
    mask[2 * third :] = 255
    (drawn,) = engine.submit("a", params, Given(given.picture, mask)).result(60).pictures
    (decoded,) = watched.decoded
    assert len(watched.put_back) == 8
    for left, put_back in watched.put_back:
        side = mask.shape[0] // len(put_back)
        levels = mask.reshape(len(put_back), side, -1).max(axis=(1, 2)) / 255
        assert put_back[levels <= left].all()
        assert not put_back[levels > left].any()
    assert np.array_equal(drawn[mask == 0], given.picture[mask == 0])
    assert np.array_equal(drawn[mask == 255], decoded[mask == 255])
    between = (decoded.astype(int) * HALF + given.picture.astype(int) * (255 - HALF)) / 255
    assert np.abs(drawn - between)[mask == HALF].max() <= 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stroke_of_one_pixel_is_redrawn_and_its_neighbours_come_back(
    family: str, profiles: ProfileOf, make_engine: MakeEngine
) -> None:
    engine = make_engine(profiles[family]())
    params, given = image_to_image(strength=1.0)
    mask = np.zeros(given.picture.shape[:2], np.uint8)
    mask[:, 13] = 255
    (drawn,) = engine.submit("a", params, Given(given.picture, mask)).result(60).pictures
    differs = (drawn != given.picture).any(axis=-1)
    assert differs[:, 13].mean() > 0.9
    assert not np.delete(differs, 13, axis=1).any()


def test_every_level_mixes_what_was_drawn_and_what_was_given() -> None:
    drawn, given = picture(256, 64, 1), picture(256, 64, 2)
    mask = np.arange(256, dtype=np.uint8)[None].repeat(64, 0)
    pasted = paste_back(drawn, Given(given, mask)).astype(int)
    share = mask[..., None] / 255
    assert np.abs(pasted - (drawn * share + given * (1 - share))).max() <= 0.5 + 1e-9
    assert np.array_equal(pasted[:, 0], given[:, 0])
    assert np.array_equal(pasted[:, 255], drawn[:, 255])
