"""Qwen-Image and its Edit: pictures equal those of diffusers' pipelines, with and without
references; prompts see these; what cannot be drawn is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.pipelines.qwenimage import (
    pipeline_qwenimage_edit,
    pipeline_qwenimage_edit_inpaint,
    pipeline_qwenimage_edit_plus,
)
from numpy.typing import NDArray
from PIL import Image
from transformers import BatchFeature, Qwen2VLImageProcessorPil

from deployments.diffusion.families import qwen_image_edit
from deployments.diffusion.families.load import load_family
from deployments.diffusion.weights.components import SharedComponents
from deployments.errors import InvalidValue
from deployments.handover import Given, Reference
from tests.tiny_checkpoint import tiny_profile
from tests.tiny_families import save_tiny_qwen_image, save_tiny_qwen_image_edit
from tests.unit.diffusion.conftest import MakeEngine, ProfileOf
from tests.unit.diffusion.families.parity import Architecture, Case, assert_parity
from tests.unit.diffusion.requests import picture

READ = 64  # tokens of a prompt
NEGATIVE = "a big house and the sea"
FITTING = ((96, 96), (128, 64), (64, 128))  # canvases that references are brought to as they are


class Qwen(Architecture):
    """What diffusers calls true guidance is ours; it asks for a negative prompt, ours is empty."""

    def asked_of(self, pipeline: Any, case: Case) -> dict[str, Any]:
        call = super().asked_of(pipeline, case)
        call["true_cfg_scale"] = call.pop("guidance_scale")
        call["negative_prompt"] = call["negative_prompt"] or ""
        return call


@dataclass(frozen=True)
class Edit(Qwen):
    """Its own pipelines have a processor beside the tokenizer. Their inpainting reads the picture
    that it redraws, whose size is a reference's then.
    """

    most: int = 1

    def cases(self, seed: int, count: int) -> Iterator[Case]:
        for i, (kind, params, given) in enumerate(super().cases(seed, count)):
            if given is not None and kind == "inpaint with a reference":
                width, height = FITTING[i % len(FITTING)]
                redrawn = picture(width, height, seed=i)
                mask = np.zeros((height, width), dtype=bool)
                mask[16:, : width // 2] = True
                given = Given(redrawn, mask, references=(Reference(redrawn),))
                params = replace(params, width=width, height=height)
            elif given is not None:
                given = replace(given, references=given.references[: self.most])
            yield kind, params, given

    def asked_of(self, pipeline: Any, case: Case) -> dict[str, Any]:
        kind, _, given = case
        call = super().asked_of(pipeline, case)
        if given is not None and kind == "reference":
            pictures = [Image.fromarray(one.picture) for one in given.references]
            call["image"] = pictures if self.most > 1 else pictures[0]
        return call

    def draw(self, components: SharedComponents, case: Case) -> NDArray[np.uint8]:
        kind = self.pipelines[case[0]]
        if not kind.__name__.startswith("QwenImageEdit"):
            return super().draw(components, case)
        pipeline = kind(
            **components.modules,
            **components.tokenizers,
            processor=SeesPictures(components),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler.from_config(
                components.scheduler_config
            ),
        )
        pipeline.set_progress_bar_config(disable=True)
        encoder = components.modules["text_encoder"]
        told = encoder.register_forward_pre_hook(tell_pictures, with_kwargs=True)
        with torch.inference_mode():
            drawn = pipeline(**self.asked_of(pipeline, case)).images[0]
        told.remove()
        return np.asarray(drawn)


class SeesPictures:
    """transformers' own processor of text and pictures, which asks for torchvision."""

    def __init__(self, components: SharedComponents) -> None:
        self._tokenizer = components.tokenizers["tokenizer"]
        self._pictures = Qwen2VLImageProcessorPil()

    def __call__(self, text: list[str], images: Any, **_: object) -> BatchFeature:
        seen = self._pictures(images=images, return_tensors="pt")
        parts = text[0].split("<|image_pad|>")
        marks = ["<|image_pad|>" * (int(grid.prod()) // 4) for grid in seen["image_grid_thw"]]
        whole = parts[0] + "".join(a + b for a, b in zip(marks, parts[1:], strict=True))
        return BatchFeature({**self._tokenizer([whole], return_tensors="pt"), **seen})


def tell_pictures(
    encoder: Any, args: tuple[Any, ...], call: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Diffusers leaves out which tokens are pictures, by which their positions are told."""
    pictures = call["input_ids"] == encoder.config.image_token_id
    return args, call | {"mm_token_type_ids": pictures.int()}


ASKED: tuple[dict[str, Any], ...] = (
    {},
    {"guidance_scale": 4.0},
    {"guidance_scale": 2.5, "negative_prompt": NEGATIVE},
    {},
)
DRAWN: dict[str, Any] = {
    "asked": ASKED,
    "max_words": 40,
    "least_steps": 2,  # of one step, a schedule with a terminal sigma is no number in diffusers
    "alters": True,
}
QWEN_IMAGE = Qwen(
    family="qwen-image",
    pipelines={
        "t2i": diffusers.QwenImagePipeline,
        "i2i": diffusers.QwenImageImg2ImgPipeline,
        "inpaint": diffusers.QwenImageInpaintPipeline,
    },
    **DRAWN,
)
EDIT = Edit(
    family="qwen-image-edit",
    pipelines={
        "reference": diffusers.QwenImageEditPipeline,
        "inpaint": diffusers.QwenImageInpaintPipeline,
        "inpaint with a reference": diffusers.QwenImageEditInpaintPipeline,
    },
    **DRAWN,
)
EDIT_PLUS = Edit(
    family="qwen-image-edit",
    pipelines={
        "t2i": diffusers.QwenImagePipeline,
        "reference": diffusers.QwenImageEditPlusPipeline,
        "i2i": diffusers.QwenImageImg2ImgPipeline,
    },
    most=3,
    **DRAWN,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen_image(tmp_path_factory.mktemp("qwen-image"))


@pytest.fixture
def same_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Diffusers' pipelines bring references to the sizes that ours does in tests."""
    read, seen = qwen_image_edit.READ_PIXELS, qwen_image_edit.SEEN_PIXELS
    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "VAE_IMAGE_SIZE", read)
    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "CONDITION_IMAGE_SIZE", seen)
    for module in (pipeline_qwenimage_edit, pipeline_qwenimage_edit_inpaint):
        fit = module.calculate_dimensions
        monkeypatch.setattr(
            module, "calculate_dimensions", lambda _, ratio, fit=fit: fit(read, ratio)
        )


@pytest.mark.parametrize(("dtype", "count"), [("float32", 18), ("bfloat16", 18), ("float16", 9)])
def test_parity(folder: Path, make_engine: MakeEngine, dtype: str, count: int) -> None:
    profile = tiny_profile(folder, dtype, QWEN_IMAGE.family, max_prompt_tokens=READ)
    assert_parity(QWEN_IMAGE, make_engine(profile, QWEN_IMAGE.recording), count)


@pytest.mark.usefixtures("same_sizes")
@pytest.mark.parametrize(
    ("variant", "dtype", "count"),
    [
        ("", "float32", 15),
        ("", "bfloat16", 9),
        ("Plus", "float32", 15),
        ("Plus", "bfloat16", 9),
        ("Plus", "float16", 6),
    ],
)
def test_parity_of_edits(
    tmp_path: Path, make_engine: MakeEngine, variant: str, dtype: str, count: int
) -> None:
    architecture = EDIT_PLUS if variant else EDIT
    if dtype != "float32":  # diffusers' two pipelines of one reference scale it apart by rounding
        kinds = dict(architecture.pipelines)
        kinds.pop("inpaint with a reference", None)
        architecture = replace(architecture, pipelines=kinds)
    folder = save_tiny_qwen_image_edit(tmp_path, variant)
    profile = tiny_profile(folder, dtype, architecture.family, max_prompt_tokens=READ)
    if not variant:
        assert profile.references is not None
        one = profile.references.model_copy(update={"most": 1})
        profile = profile.model_copy(update={"references": one})
    assert_parity(architecture, make_engine(profile, architecture.recording), count)


def test_prompts_see_references(profiles: ProfileOf) -> None:
    family = load_family(profiles["qwen-image-edit"]())
    one, other = (Reference(picture(64, 96, seed=seed)) for seed in (1, 2))
    alone = family.encode("a red cat").embedding.tokens
    seen = [family.encode("a red cat", shown).embedding.tokens for shown in ((one,), (other,))]
    both = family.encode("a red cat", (one, other)).embedding.tokens
    assert len(alone) < len(seen[0]) == len(seen[1]) < len(both)
    assert not torch.equal(*seen)


def test_marks_of_pictures_in_a_prompt(profiles: ProfileOf) -> None:
    family = load_family(profiles["qwen-image-edit"]())
    with pytest.raises(InvalidValue, match="own mark of a picture"):
        family.encode("a <|image_pad|> cat", (Reference(picture(64, 64)),))
