"""Ink onto pixels: one colour or a gradient, laid through a mask; sprites in their own colours."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import Rect, Sprite, Tile, masks
from deployments.postprocess.schema import (
    Colour,
    Colours,
    Fill,
    Gradient,
    parse_hex,
    to_hex,
)


@dataclass(frozen=True, slots=True)
class Ramp:
    """A linear gradient laid on the canvas. angle: degrees, 0 upwards, 90 to the right.

    At `centre` it is half way; it takes `length` pixels from `start` to `end`.
    """

    start: Colour
    end: Colour
    angle: float
    centre: tuple[float, float]
    length: float

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.uint8]:
        """The colours uint8 (..., 3) of these pixels; rows and columns broadcast."""
        turn = math.radians(self.angle)
        along = (columns + 0.5 - self.centre[0]) * math.sin(turn)
        along = along - (rows + 0.5 - self.centre[1]) * math.cos(turn)
        share = np.clip(along / self.length + 0.5, 0.0, 1.0)[..., None]
        start, end = np.array(self.start, np.float64), np.array(self.end, np.float64)
        return np.asarray(start + (end - start) * share + 0.5, np.float64).astype(np.uint8)


Ink = Colour | Ramp


def lay_fill(fill: Fill, box: Rect, rotate: float) -> Ink:
    """`fill`, which is not "auto", over `box` turned by `rotate` degrees about its centre.

    As in CSS the corners of the box have the colours of the ends.
    """
    if not isinstance(fill, Gradient):
        return parse_hex(fill)
    turn = math.radians(fill.angle)
    length = box.width * abs(math.sin(turn)) + box.height * abs(math.cos(turn))
    return Ramp(
        parse_hex(fill.start),
        parse_hex(fill.end),
        fill.angle + rotate,
        (box.x + box.width / 2, box.y + box.height / 2),
        max(1.0, length),
    )


def tones(ink: Ink, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Colours:
    """What `ink` looks like at these pixels of the canvas; rows and columns broadcast."""
    return ink.at(rows, columns) if isinstance(ink, Ramp) else ink


def ends(ink: Ink) -> tuple[Colour, ...]:
    """The colours that bound all others of `ink`."""
    return (ink.start, ink.end) if isinstance(ink, Ramp) else (ink,)


def ink_name(ink: Ink) -> str:
    """As CSS writes it: "#rrggbb" or "linear-gradient(90deg, #rrggbb, #rrggbb)"."""
    if isinstance(ink, Ramp):
        return f"linear-gradient({ink.angle:g}deg, {to_hex(ink.start)}, {to_hex(ink.end)})"
    return to_hex(ink)


@dataclass(frozen=True, slots=True)
class Paint:
    """An ink laid through a mask with an alpha from 0 to 1."""

    tile: Tile
    colour: Ink
    alpha: float = 1.0


def paint(pixels: NDArray[np.uint8], layer: Paint) -> None:
    """Lay `layer` on `pixels`, uint8 (H, W, 3), in place; what lies outside is dropped."""
    height, width = pixels.shape[:2]
    rows, columns = layer.tile.mask.shape
    top, left = max(0, layer.tile.y), max(0, layer.tile.x)
    bottom, right = min(height, layer.tile.y + rows), min(width, layer.tile.x + columns)
    if top >= bottom or left >= right:
        return
    mask = layer.tile.mask[
        top - layer.tile.y : bottom - layer.tile.y, left - layer.tile.x : right - layer.tile.x
    ]
    region = pixels[top:bottom, left:right]
    colours = tones(layer.colour, np.arange(top, bottom)[:, None], np.arange(left, right))
    pixels[top:bottom, left:right] = masks.blend(region, mask, colours, layer.alpha)


def lay_sprite(pixels: NDArray[np.uint8], sprite: Sprite) -> None:
    """Lay `sprite` on `pixels`, uint8 (H, W, 3), in place; what lies outside is dropped."""
    height, width = pixels.shape[:2]
    rows, columns = sprite.rgba.shape[:2]
    top, left = max(0, sprite.y), max(0, sprite.x)
    bottom, right = min(height, sprite.y + rows), min(width, sprite.x + columns)
    if top >= bottom or left >= right:
        return
    own = sprite.rgba[top - sprite.y : bottom - sprite.y, left - sprite.x : right - sprite.x]
    ground = pixels[top:bottom, left:right].astype(np.float32)
    mixed = ground + (own[..., :3] - ground) * (own[..., 3:] / np.float32(255))
    pixels[top:bottom, left:right] = (mixed + 0.5).astype(np.uint8)
