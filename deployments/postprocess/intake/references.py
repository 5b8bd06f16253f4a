"""Pictures that the model reads beside its prompt: upright, in their own sizes, made smaller where
they have more pixels than it is given."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.errors import InvalidValue
from deployments.handover import Given, Reference
from deployments.postprocess.intake.decoding import decode
from deployments.postprocess.intake.limits import IntakeLimits

LEAST_SIDE = 64  # pixels: below, a model of latents reads next to nothing
MOST_ASPECT = 8


def add_references(
    given: Given | None, files: Sequence[bytes], max_pixels: int, limits: IntakeLimits
) -> Given:
    """What is given, and these references beside it.

    Raises UnsupportedFile, TooLarge or InvalidValue with param "references.0" and so on.
    """
    references = tuple(
        _reference(file, f"references.{i}", max_pixels, limits) for i, file in enumerate(files)
    )
    given = given or Given(None, digest="")
    digest = None
    if given.digest is not None:
        names = (given.digest, *(one.digest for one in references))
        digest = hashlib.sha256(repr(names).encode()).hexdigest()
    return replace(given, references=references, digest=digest)


def _reference(data: bytes, param: str, max_pixels: int, limits: IntakeLimits) -> Reference:
    image = decode(data, param, limits).image
    width, height = image.size
    if min(width, height) < LEAST_SIDE or max(width, height) > MOST_ASPECT * min(width, height):
        raise InvalidValue(
            f"{param}: {width}x{height} cannot be read; send a picture of at least {LEAST_SIDE} "
            f"pixels a side, no longer than {MOST_ASPECT} times its other side",
            param,
            "reference_shape",
        )
    if width * height > max_pixels:
        scale = math.sqrt(max_pixels / (width * height))
        smaller = (int(width * scale), int(height * scale))
        image = image.resize(smaller, Image.Resampling.LANCZOS)
    picture: NDArray[np.uint8] = np.array(image, dtype=np.uint8)
    found = hashlib.sha256(repr(picture.shape).encode())
    found.update(picture.data)
    return Reference(picture, found.hexdigest())
