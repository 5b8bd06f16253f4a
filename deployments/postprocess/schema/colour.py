"""Colours: as clients write them, as numbers, and how bright each is to the eye (WCAG 2.x)."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

Colour = tuple[int, int, int]
Colours = Colour | NDArray[np.uint8]  # one for all pixels, or one a pixel: uint8 (..., 3)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (17, 17, 17)
_LEVELS = np.arange(256) / 255.0
# WCAG 2.x, "relative luminance": sRGB's transfer function, exact for 8-bit values.
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
_SHARES = np.array([[0.2126, 0.7152, 0.0722]])
LUMINANCE = np.ascontiguousarray((_LINEAR[:, None] * _SHARES)[None], np.float32)
Hex = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
HexOrAuto = Annotated[str, Field(pattern=r"^(auto|#[0-9a-fA-F]{6})$")]


def contrast_between(one: Colour, other: Colour) -> float:
    """The ratio of two plain colours."""
    darker, lighter = sorted((brightness(one), brightness(other)))
    return (lighter + 0.05) / (darker + 0.05)


def brightness(colour: Colour) -> float:
    """The relative luminance of one colour, 0 to 1."""
    return float(sum(LUMINANCE[0, level, channel] for channel, level in enumerate(colour)))


def parse_hex(colour: str) -> Colour:
    """(r, g, b) of "#rrggbb"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def to_hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
