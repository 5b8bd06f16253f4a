"""Qwen-Image-Edit: Qwen-Image whose prompts see the references, which stand beside its latents too.

Follows diffusers' QwenImageEditPipeline (one reference) and QwenImageEditPlusPipeline (several),
but for the text encoder's positions: it is told which tokens are pictures, as it was trained, which
those pipelines leave out under transformers 5. Without references it draws as Qwen-Image does.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deployments.diffusion.families.base import Bounds, EncodedPrompt, refuse_long_prompt
from deployments.diffusion.families.parts import flow
from deployments.diffusion.families.qwen_image import QwenImage, template
from deployments.diffusion.request import Embedding, GenerationParams, Work
from deployments.diffusion.weights import SharedComponents
from deployments.errors import InvalidValue
from deployments.handover import Reference

MOST_REFERENCES = 3  # that its later versions were trained on
READ_PIXELS = 1024 * 1024  # of a reference beside the latents
SEEN_PIXELS = 384 * 384  # of one of several in the prompt; a single one is seen as it is read
GRID = 32  # of both of its sides, in pixels
SYSTEM = (
    "Describe the key features of the input image (color, shape, size, texture, objects, "
    "background), then explain how the user's text instruction should alter or modify the image. "
    "Generate a new image that meets the user's requirements while maintaining consistency with "
    "the original input where appropriate."
)


class QwenImageEdit(QwenImage):
    """The family of Qwen-Image-Edit, for one reference and for several."""

    prompt_sees_references: ClassVar[bool] = True

    def __init__(self, components: SharedComponents, max_prompt_tokens: int) -> None:
        """`max_prompt_tokens`: as of QwenImage; the references' own come on top of them."""
        super().__init__(components, max_prompt_tokens)
        self._processor: Any = components.processors["processor"]
        pipeline = str(components.settings.get("_class_name", "QwenImageEditPlusPipeline"))
        self._reads_several = pipeline.startswith("QwenImageEditPlus")

    def _drop_unread(self) -> None:
        """Everything is read."""

    @property
    def bounds(self) -> Bounds:
        return super().bounds._replace(references=MOST_REFERENCES if self._reads_several else 1)

    def encode(self, prompt: str, references: Sequence[Reference] = ()) -> EncodedPrompt:
        if not references:
            return super().encode(prompt)
        pictures = self._processor(
            images=[self._seen(one.picture) for one in references], return_tensors="pt"
        )
        grids = pictures.image_grid_thw
        tokens, begin = self._tokens_with_pictures(prompt, self._picture_tokens(grids))
        device = self.components.device
        of_pictures = tokens == self._text_encoder.config.image_token_id
        read = self._text_encoder(
            input_ids=tokens.to(device),
            attention_mask=torch.ones_like(tokens).to(device),
            pixel_values=pictures.pixel_values.to(device),
            image_grid_thw=grids.to(device),
            mm_token_type_ids=of_pictures.int().to(device),
            use_cache=False,
        ).last_hidden_state
        return EncodedPrompt(Embedding(read[0, begin:]), ())

    def _picture_tokens(self, grids: torch.Tensor) -> list[int]:
        merged = self._text_encoder.config.vision_config.spatial_merge_size**2
        return [int(grid.prod()) // merged for grid in grids]

    def _tokens_with_pictures(
        self, prompt: str, pictures: Sequence[int]
    ) -> tuple[torch.Tensor, int]:
        """(1, L) with so many for each picture, and where those behind the template's beginning
        begin. Raises InvalidValue for too many words, or the mark of a picture among them.
        """
        config = self._text_encoder.config
        before, after = template(SYSTEM)
        begin = len(self._ids(before))
        said = self._ids(prompt + after)
        marks = {config.image_token_id, config.video_token_id}
        if marks & set(said):
            raise InvalidValue(
                "prompt: it holds the model's own mark of a picture; leave it out: references are "
                "marked by themselves",
                "prompt",
                "prompt_marks_picture",
            )
        ids: list[int] = []
        words = len(said)
        for number, count in enumerate(pictures, start=1):
            named = f"Picture {number}: " if self._reads_several else ""
            told = self._ids((before if number == 1 else "") + named)
            words += len(told) - (begin if number == 1 else 0)
            shown = [config.image_token_id] * count
            ids += [*told, config.vision_start_token_id, *shown, config.vision_end_token_id]
        refuse_long_prompt(words, self.max_prompt_tokens)
        return torch.tensor([[*ids, *said]]), begin

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text).input_ids
        return ids

    def _seen(self, picture: NDArray[np.uint8]) -> Image.Image:
        """As the prompt shows it."""
        return _resized(picture, SEEN_PIXELS if self._reads_several else READ_PIXELS)

    def _reference(self, picture: NDArray[np.uint8], tiled: bool) -> torch.Tensor:
        read = np.array(_resized(picture, READ_PIXELS))
        return self._space.mode(read, tiled=tiled)

    def work(self, params: GenerationParams) -> Work:
        """Its references are encoded as pictures of their own, and read in every forward."""
        alone = super().work(params)
        if not params.references:
            return alone
        side = self._space.factor * flow.PATCH
        vision = self._text_encoder.config.vision_config
        patch = vision.patch_size * vision.spatial_merge_size
        seen_pixels = SEEN_PIXELS if self._reads_several else READ_PIXELS
        read = [_fitted(*size, READ_PIXELS) for size in params.references]
        seen = [_fitted(*size, seen_pixels) for size in params.references]
        tokens = flow.image_tokens(self._space.shape(params)) + self._usual_words
        tokens += sum(width * height // side**2 for width, height in read)
        tokens += sum(round(width / patch) * round(height / patch) for width, height in seen)
        forwards = self.steps_executed(params.num_inference_steps, params.strength)
        pixels = params.width * params.height + sum(width * height for width, height in read)
        return Work.of([tokens] * (2 if self.guided(params) else 1), forwards, pixels)


def _fitted(width: int, height: int, pixels: int) -> tuple[int, int]:
    """(width, height) of about so many pixels in the same shape, on the grid."""
    ratio = width / height
    fitted = math.sqrt(pixels * ratio)
    return (
        max(round(fitted / GRID) * GRID, GRID),
        max(round(fitted / ratio / GRID) * GRID, GRID),
    )


def _resized(picture: NDArray[np.uint8], pixels: int) -> Image.Image:
    height, width = picture.shape[:2]
    size = _fitted(width, height, pixels)
    return Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
