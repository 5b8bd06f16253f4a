"""Logos, badges and products with known content, and adverts made with them."""

import base64
import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.postprocess.adopt_images import adopt
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.intake.limits import IntakeLimits
from deployments.postprocess.library.library import Library
from deployments.postprocess.schema.delivery import FinishSpec
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.placements import Output
from deployments.postprocess.schema.reports import Finished
from tests.unit.postprocess.pictures import as_file

PNG = Output("png")
LIMITS = IntakeLimits(max_bytes=4_000_000, max_pixels=4_000_000)


def url(pixels: NDArray[Any], file_format: str = "PNG", **options: Any) -> str:
    return data_url(as_file(pixels, file_format, **options), file_format)


def data_url(data: bytes, file_format: str = "PNG") -> str:
    return f"data:image/{file_format.lower()};base64,{base64.b64encode(data).decode()}"


def mark(
    width: int = 240, height: int = 80, colour: tuple[int, int, int] = (255, 255, 255)
) -> NDArray[np.uint8]:
    """A word mark: a ring and two bars, black beneath its transparent parts."""
    pixels = np.zeros((height, width, 4), np.uint8)
    shade = (*colour, 255)
    cv2.circle(pixels, (height // 2, height // 2), height // 2, shade, -1)
    cv2.circle(pixels, (height // 2, height // 2), height // 5, (0, 0, 0, 0), -1)
    pixels[: height // 3, height + 10 :] = shade
    pixels[height // 2 :, height + 10 : width - 20] = shade
    return pixels


def cut_out_product(width: int = 120, height: int = 180, seed: int = 0) -> NDArray[np.uint8]:
    """Every colour of the dice inside an ellipse, with a soft edge."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    half = (width // 2 - 2, height // 2 - 2)
    cv2.ellipse(alpha, (width // 2, height // 2), half, 0, 0, 360, 255, -1, cv2.LINE_AA)
    pixels[..., 3] = alpha
    return pixels


def bottle() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A bottle with a nearly white label and a soft shadow on a lit, noisy, nearly white ground;
    and where it is."""
    ground = np.full((450, 350, 3), (238, 236, 230), np.float32)
    ground *= 1 - 0.12 * np.linspace(0, 1, 450)[:, None, None]
    shadow = np.zeros((450, 350), np.float32)
    cv2.ellipse(shadow, (180, 400), (95, 15), 0, 0, 360, 1, -1)
    ground *= 1 - 0.45 * cv2.GaussianBlur(shadow, (0, 0), 9)[..., None]
    shape = np.zeros((450, 350), np.uint8)
    shape[160:401, 125:226] = 255
    shape[65:160, 157:194] = 255
    cv2.ellipse(shape, (175, 160), (50, 45), 0, 0, 360, 255, -1, cv2.LINE_AA)
    colour = np.full_like(ground, (30, 90, 60))
    colour[65:90] = (200, 160, 40)
    colour[225:340] = (245, 244, 240)
    colour[:, 125:226] *= (0.75 + 0.25 * np.cos(np.linspace(-2, 2, 101)))[None, :, None]
    weight = shape[..., None] / 255
    noise = np.random.default_rng(0).normal(0, 3, ground.shape)
    photo = np.clip(ground * (1 - weight) + colour * weight + noise, 0, 255)
    return photo.astype(np.uint8), shape > 127


def adopted(layers: list[Any], library: Library | None = None, **spec: Any) -> FinishSpec:
    overlay = OverlaySpec.model_validate({"layers": layers, **spec})
    asked = FinishSpec(ids=("",), overlay=overlay, placements=(None,), output=PNG)
    return adopt(asked, library, LIMITS)


def advert(
    picture: NDArray[np.uint8],
    layers: list[Any],
    placement: str | None = None,
    output: Output = PNG,
    **spec: Any,
) -> tuple[NDArray[np.uint8], Finished]:
    """The pixels of the file of an advert, and all that is known of it."""
    asked = adopted(layers, **spec)
    made = finish_picture(picture, asked.overlay, placement, output, {}, images=asked.images)
    assert made.report is not None, made.warnings
    return np.asarray(Image.open(io.BytesIO(made.data)).convert("RGB")), made
