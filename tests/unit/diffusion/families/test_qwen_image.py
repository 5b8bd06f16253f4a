"""Qwen-Image: pictures equal those of diffusers' pipelines; rows of every kind and size share
forwards; what it cannot draw is refused.
"""

from pathlib import Path
from typing import Any

import diffusers
import pytest

from tests.tiny_checkpoint import tiny_profile
from tests.tiny_families import save_tiny_qwen_image
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.families.parity import Architecture, Case, assert_parity

READ = 64  # tokens of a prompt
NEGATIVE = "a big house and the sea"


class Qwen(Architecture):
    """What diffusers calls true guidance is ours; it asks for a negative prompt, ours is empty."""

    def asked_of(self, pipeline: Any, case: Case) -> dict[str, Any]:
        call = super().asked_of(pipeline, case)
        call["true_cfg_scale"] = call.pop("guidance_scale")
        call["negative_prompt"] = call["negative_prompt"] or ""
        return call


QWEN_IMAGE = Qwen(
    family="qwen-image",
    pipelines={
        "t2i": diffusers.QwenImagePipeline,
        "i2i": diffusers.QwenImageImg2ImgPipeline,
        "inpaint": diffusers.QwenImageInpaintPipeline,
    },
    asked=({}, {"guidance_scale": 4.0}, {"guidance_scale": 2.5, "negative_prompt": NEGATIVE}, {}),
    max_words=40,
    least_steps=2,  # of one step, a schedule with a terminal sigma is no number in diffusers
    alters=True,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen_image(tmp_path_factory.mktemp("qwen-image"))


@pytest.mark.parametrize(
    ("dtype", "count"), [("float32", 24), ("bfloat16", 24), ("float16", 12)]
)
def test_parity(folder: Path, make_engine: MakeEngine, dtype: str, count: int) -> None:
    profile = tiny_profile(folder, dtype, QWEN_IMAGE.family, max_prompt_tokens=READ)
    assert_parity(QWEN_IMAGE, make_engine(profile, QWEN_IMAGE.recording), count)
