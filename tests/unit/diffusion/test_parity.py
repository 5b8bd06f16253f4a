"""Pictures equal those of diffusers' own three pipelines on the same components."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    ZImageImg2ImgPipeline,
    ZImageInpaintPipeline,
    ZImagePipeline,
)
from numpy.typing import NDArray
from PIL import Image

from deployments.diffusion.components import SharedComponents
from deployments.diffusion.engine import Engine
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.params import GenerationParams
from deployments.handover import Fitted
from tests.tiny_checkpoint import WORDS, tiny_profile
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import MakeEngine

GUIDED: dict[str, Any] = {"guidance_scale": 2.5, "negative_prompt": "a big house and the sea"}
STRENGTHS = (1.0, 0.9, 0.75, 0.6, 0.45, 0.3, 0.15)


class Unpasted(ZImage):
    """Keeps the pictures as decoded, before protected pixels are pasted back."""

    def __init__(self, components: SharedComponents, max_prompt_tokens: int) -> None:
        super().__init__(components, max_prompt_tokens)
        self.decoded: list[NDArray[np.uint8]] = []

    def decode(self, latents: torch.Tensor) -> NDArray[np.uint8]:
        picture = super().decode(latents)
        self.decoded.append(picture)
        return picture


def random_cases(seed: int, count: int) -> Sequence[tuple[str, GenerationParams, Fitted | None]]:
    rng = random.Random(seed)
    cases = []
    for i in range(count):
        kind = ("t2i", "i2i", "inpaint")[i % 3]
        width, height = rng.choice((64, 96, 128)), rng.choice((64, 96, 144))
        params = GenerationParams(
            prompt=" ".join(rng.choices(WORDS, k=rng.randint(1, 60))),
            width=width,
            height=height,
            num_inference_steps=rng.randint(1, 9),
            seed=rng.randrange(2**31),
            strength=None if kind == "t2i" else STRENGTHS[i // 3 % len(STRENGTHS)],
            **(GUIDED if i % 4 == 3 else {}),
        )
        given = None
        if kind != "t2i":
            noise = np.random.default_rng(i)
            picture = noise.integers(0, 256, (height, width, 3), dtype=np.uint8)
            mask = np.zeros((height, width), dtype=bool)
            top, left = rng.randrange(height // 2), rng.randrange(width // 2)
            mask[top : top + height // 2, left : left + width // 2] = True
            given = Fitted(picture, mask if kind == "inpaint" else None)
        cases.append((kind, params, given))
    return cases


def draw_with_diffusers(
    components: SharedComponents, kind: str, params: GenerationParams, given: Fitted | None
) -> NDArray[np.uint8]:
    parts: dict[str, Any] = {
        **components.modules,
        **components.tokenizers,
        "scheduler": FlowMatchEulerDiscreteScheduler.from_config(components.scheduler_config),
    }
    pipelines = {
        "t2i": ZImagePipeline,
        "i2i": ZImageImg2ImgPipeline,
        "inpaint": ZImageInpaintPipeline,
    }
    pipeline = pipelines[kind](**parts)
    pipeline.set_progress_bar_config(disable=True)
    call: dict[str, Any] = {
        "prompt": params.prompt,
        "width": params.width,
        "height": params.height,
        "num_inference_steps": params.num_inference_steps,
        "guidance_scale": params.guidance_scale,
        "negative_prompt": params.negative_prompt,
        "generator": torch.Generator().manual_seed(params.seed),
    }
    if given is not None:
        call |= {"image": Image.fromarray(given.picture), "strength": params.strength}
        if given.mask is not None:
            call["mask_image"] = Image.fromarray(given.mask.astype(np.uint8) * 255)
    return np.asarray(pipeline(**call).images[0])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_pictures_equal_those_of_diffusers(
    checkpoint: Path, make_engine: MakeEngine, dtype: str
) -> None:
    profile = tiny_profile(checkpoint, dtype)
    engine: Engine = make_engine(profile, Unpasted)
    family = engine._loaded
    assert isinstance(family, Unpasted)
    family.decoded.clear()  # the warm-up's
    torch.set_num_threads(profile.engine.threads)  # bf16 rounds by how the work is split
    for i, (kind, params, given) in enumerate(random_cases(7, 36)):
        drawn = engine.submit(f"{i}", params, given).result(60)
        (ours,) = family.decoded
        family.decoded.clear()
        theirs = draw_with_diffusers(family.components, kind, params, given)
        assert_same_picture(ours, theirs)
        if given is not None and given.mask is not None:
            kept = ~given.mask
            assert np.array_equal(drawn.pictures[0][kept], given.picture[kept])
