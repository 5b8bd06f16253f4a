"""Pictures equal those of diffusers' own three pipelines on the same components, whatever the
checkpoint's scheduler.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import diffusers
import pytest

from tests.schedules import DISCRETE, FLOW
from tests.tiny_checkpoint import tiny_profile
from tests.tiny_families import save_tiny_flux, save_tiny_sdxl
from tests.unit.diffusion.conftest import MakeEngine, ProfileOf
from tests.unit.diffusion.families.parity import Architecture, assert_parity

NEGATIVE = "a big house and the sea"

Z_IMAGE = Architecture(
    family="z-image",
    pipelines={
        "t2i": diffusers.ZImagePipeline,
        "i2i": diffusers.ZImageImg2ImgPipeline,
        "inpaint": diffusers.ZImageInpaintPipeline,
    },
    asked=({}, {}, {}, {"guidance_scale": 2.5, "negative_prompt": NEGATIVE}),
    max_words=60,
)
SDXL = Architecture(
    family="sdxl",
    pipelines={
        "t2i": diffusers.StableDiffusionXLPipeline,
        "i2i": diffusers.StableDiffusionXLImg2ImgPipeline,
        "inpaint": diffusers.StableDiffusionXLInpaintPipeline,
    },
    asked=(
        {},
        {"guidance_scale": 5.0, "negative_prompt": NEGATIVE},
        {"guidance_scale": 1.0},
        {"guidance_scale": 7.5},
    ),
    max_words=10,
)
FLUX = Architecture(
    family="flux",
    pipelines={
        "t2i": diffusers.FluxPipeline,
        "i2i": diffusers.FluxImg2ImgPipeline,
        "inpaint": diffusers.FluxInpaintPipeline,
    },
    asked=({}, {"guidance_scale": 3.5}, {"guidance_scale": 1.0}, {"guidance_scale": 7.0}),
    max_words=24,
    call={"max_sequence_length": 32},
)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_z_image(checkpoint: Path, make_engine: MakeEngine, dtype: str) -> None:
    engine = make_engine(tiny_profile(checkpoint, dtype), Z_IMAGE.recording)
    assert_parity(Z_IMAGE, engine, 36)


@pytest.mark.parametrize(
    ("scheduler", "dtype", "count"),
    [
        ("base", "float32", 21),
        ("base", "bfloat16", 21),
        ("base", "float16", 12),
        ("turbo", "float32", 21),
        ("turbo", "bfloat16", 12),
        ("linspace", "float32", 9),
    ],
)
def test_sdxl(
    tmp_path: Path, make_engine: MakeEngine, scheduler: str, dtype: str, count: int
) -> None:
    # without a negative prompt, guidance draws away from zeros or from the empty prompt
    folder = save_tiny_sdxl(tmp_path, scheduler, force_zeros_for_empty_prompt=scheduler == "base")
    profile = tiny_profile(folder, dtype, family="sdxl", max_prompt_tokens=77)
    assert_parity(SDXL, make_engine(profile, SDXL.recording), count)


@pytest.mark.parametrize(
    ("variant", "dtype", "count"),
    [
        ("dev", "float32", 21),
        ("dev", "bfloat16", 21),
        ("dev", "float16", 12),
        ("schnell", "float32", 9),
    ],
)
def test_flux(
    tmp_path: Path, make_engine: MakeEngine, variant: str, dtype: str, count: int
) -> None:
    folder = save_tiny_flux(tmp_path, variant)
    architecture = FLUX if variant == "dev" else replace(FLUX, asked=({},))
    profile = tiny_profile(folder, dtype, family="flux", max_prompt_tokens=32)
    assert_parity(architecture, make_engine(profile, architecture.recording), count)


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        *((Z_IMAGE, name) for name in FLOW if name != "shifted"),
        *((FLUX, name) for name in FLOW),
        *((SDXL, name) for name in DISCRETE if name not in ("base", "turbo", "linspace")),
    ],
    ids=lambda one: one.family if isinstance(one, Architecture) else one,
)
def test_every_schedule(
    profiles: ProfileOf,
    tmp_path: Path,
    make_engine: MakeEngine,
    architecture: Architecture,
    name: str,
) -> None:
    profile = profiles[architecture.family]()
    folder = tmp_path / "checkpoint"
    shutil.copytree(profile.model.source, folder)
    scheduler = (DISCRETE if architecture is SDXL else FLOW)[name]()
    shutil.rmtree(folder / "scheduler")
    scheduler.save_pretrained(folder / "scheduler")
    index = folder / "model_index.json"
    parts = json.loads(index.read_text()) | {"scheduler": ["diffusers", type(scheduler).__name__]}
    index.write_text(json.dumps(parts))
    model = profile.model.model_copy(update={"source": str(folder)})
    engine = make_engine(profile.model_copy(update={"model": model}), architecture.recording)
    least = 2 if scheduler.config.get("shift_terminal") else 1  # of one step diffusers makes NaN
    assert_parity(replace(architecture, least_steps=least), engine, 6)
