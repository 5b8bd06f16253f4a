"""FLUX.2-klein: pictures equal those of diffusers' pipelines, with and without references; rows of
every kind and size share forwards; what it cannot draw is refused.
"""

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_checkpoint import tiny_profile
from tests.tiny_families import save_tiny_klein
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.families.parity import Architecture, Case, assert_parity

READ = 48  # tokens of a prompt


class Klein(Architecture):
    """A picture redrawn by strength alone is T2I from noised latents, at the sigmas left."""

    def asked_of(self, pipeline: Any, case: Case) -> dict[str, Any]:
        kind, _, given = case
        call = super().asked_of(pipeline, case)
        away = call.pop("negative_prompt") or ""
        call["negative_prompt_embeds"] = pipeline.encode_prompt(away, max_sequence_length=READ)[0]
        if kind == "i2i":
            del call["image"]
            assert given is not None
            assert given.picture is not None
            call |= noised(pipeline, call.pop("strength"), given.picture, call)
        if given is not None and given.references:
            pictures = [Image.fromarray(one.picture) for one in given.references]
            call |= {"image": pictures} if kind == "reference" else {"image_reference": pictures[0]}
        return call


def noised(
    pipeline: Any, strength: float, picture: np.ndarray, call: dict[str, Any]
) -> dict[str, Any]:
    """What diffusers' inpainting begins from, for its pipeline that has no picture to redraw."""
    steps = call["num_inference_steps"]
    begin = int(max(steps - min(steps * strength, steps), 0))
    pixels = pipeline.image_processor.preprocess(Image.fromarray(picture)).to(pipeline.vae.dtype)
    latents = pipeline._encode_vae_image(pixels, None)
    noise = torch.randn(
        latents.shape, generator=call["generator"], dtype=pipeline.transformer.dtype
    )
    even = np.linspace(1.0, 1 / steps, steps)
    mu = diffusers.pipelines.flux2.pipeline_flux2_klein.compute_empirical_mu(
        latents.shape[-2] * latents.shape[-1], steps
    )
    pipeline.scheduler.set_timesteps(sigmas=even, mu=mu)
    at = pipeline.scheduler.timesteps[begin : begin + 1]
    pipeline.scheduler.set_begin_index(begin)
    return {
        "latents": pipeline.scheduler.scale_noise(latents, at, noise),
        "sigmas": even[begin:].tolist(),
    }


KLEIN = Klein(
    family="flux2-klein",
    pipelines={
        "t2i": diffusers.Flux2KleinPipeline,
        "reference": diffusers.Flux2KleinPipeline,
        "i2i": diffusers.Flux2KleinPipeline,
        "inpaint": diffusers.Flux2KleinInpaintPipeline,
        "inpaint with a reference": diffusers.Flux2KleinInpaintPipeline,
    },
    asked=(
        {},
        {"guidance_scale": 4.0},
        {"guidance_scale": 1.0},
        {"guidance_scale": 2.5, "negative_prompt": "a big house and the sea"},
    ),
    max_words=40,
    call={"max_sequence_length": READ},
    patch=2,
    alters=True,
)
DISTILLED = Klein(
    KLEIN.family, KLEIN.pipelines, ({},), KLEIN.max_words, KLEIN.call, alters=True, patch=2
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """A checkpoint of each kind, by whether it is distilled."""
    root = tmp_path_factory.mktemp("klein")
    return {
        distilled: save_tiny_klein(root / str(distilled), distilled) for distilled in (False, True)
    }


@pytest.mark.parametrize(
    ("distilled", "dtype", "count"),
    [
        (False, "float32", 20),
        (False, "bfloat16", 15),
        (False, "float16", 10),
        (True, "float32", 15),
    ],
)
def test_parity(
    folders: dict[bool, Path], make_engine: MakeEngine, distilled: bool, dtype: str, count: int
) -> None:
    architecture = DISTILLED if distilled else KLEIN
    profile = tiny_profile(folders[distilled], dtype, architecture.family, max_prompt_tokens=READ)
    assert_parity(architecture, make_engine(profile, architecture.recording), count)
