"""Small pictures with known content, and files of them."""

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def plain(
    width: int = 256, height: int = 256, colour: tuple[int, int, int] = (40, 60, 140)
) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


def disc(
    width: int = 256,
    height: int = 256,
    centre: tuple[float, float] = (0.5, 0.5),
    radius: float = 0.25,
    ground: tuple[int, int, int] = (235, 240, 236),
    colour: tuple[int, int, int] = (220, 60, 40),
) -> NDArray[np.uint8]:
    """A disc on plain ground; centre in fractions, radius in fractions of the short side."""
    picture = plain(width, height, ground)
    middle = (int(centre[0] * width), int(centre[1] * height))
    cv2.circle(picture, middle, int(radius * min(width, height)), colour, -1, cv2.LINE_AA)
    return picture


def noise(width: int = 256, height: int = 256, seed: int = 0) -> NDArray[np.uint8]:
    """Busy ground of all colours, in blocks of a few pixels."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
    return np.ascontiguousarray(small.repeat(4, 0).repeat(4, 1)[:height, :width])


def as_file(pixels: NDArray[Any], file_format: str = "PNG", **options: Any) -> bytes:
    return image_file(Image.fromarray(pixels), file_format, **options)


def image_file(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()
