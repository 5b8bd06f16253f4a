"""Requests of every kind for engine tests."""

import numpy as np

from deployments.diffusion.request.params import GenerationParams
from deployments.handover import Given


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def text_to_image(**fields: object) -> tuple[GenerationParams, None]:
    asked = {"prompt": "a red cat", "width": 64, "height": 64, "num_inference_steps": 4, "seed": 1}
    return GenerationParams(**{**asked, **fields}), None  # type: ignore[arg-type]


def image_to_image(**fields: object) -> tuple[GenerationParams, Given]:
    params, _ = text_to_image(**{"strength": 0.6, **fields})
    return params, Given(picture(params.width, params.height, abs(params.seed)))


def inpaint(**fields: object) -> tuple[GenerationParams, Given]:
    params, given = image_to_image(**fields)
    mask = np.zeros(given.picture.shape[:2], np.uint8)
    mask[: params.height // 2] = 255
    return params, Given(given.picture, mask)


KINDS = (text_to_image, image_to_image, inpaint)
