"""Colours: as clients write them, as numbers, how bright each is to the eye (WCAG 2.x), and whether
black or white is read on it."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

_HEX = "#[0-9a-fA-F]{6}"
Hex = Annotated[str, Field(pattern=rf"^{_HEX}$")]
HexOrAuto = Annotated[str, Field(pattern=rf"^(auto|{_HEX})$")]

Colour = tuple[int, int, int]
Colours = Colour | NDArray[np.uint8]  # one for all pixels, or one a pixel: uint8 (..., 3)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (17, 17, 17)

_LEVELS = np.arange(256) / 255.0
# WCAG 2.x, "relative luminance": sRGB's transfer function, exact for 8-bit values.
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
_SHARES = np.array([[0.2126, 0.7152, 0.0722]])
LUMINANCE = np.ascontiguousarray((_LINEAR[:, None] * _SHARES)[None], np.float32)
"""What each level of each channel adds to a colour's luminance: float32 (1, 256, 3)."""


def parse_hex(colour: str) -> Colour:
    """(r, g, b) of "#rrggbb"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def to_hex(colour: Colour) -> str:
    """ "#rrggbb" of (r, g, b)."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def brightness(colour: Colour) -> float:
    """The relative luminance of one colour, 0 to 1."""
    return float(sum(LUMINANCE[0, level, channel] for channel, level in enumerate(colour)))


def contrast_between(one: Colour, other: Colour) -> float:
    """The ratio of two plain colours, 1 to 21."""
    darker, lighter = sorted((brightness(one), brightness(other)))
    return (lighter + 0.05) / (darker + 0.05)


def ink_on(*grounds: Colour) -> Colour:
    """White or black, whichever reads better on all of `grounds`.

    White from 4.5:1 on, since it looks livelier.
    """
    white = min(contrast_between(colour, WHITE) for colour in grounds)
    black = min(contrast_between(colour, BLACK) for colour in grounds)
    return WHITE if white >= 4.5 or white >= black else BLACK


def opposite(*colours: Colour) -> Colour:
    """Black or white, whichever stands out more from the worst of `colours`."""
    return max(
        (BLACK, WHITE),
        key=lambda plain: min(contrast_between(plain, colour) for colour in colours),
    )
