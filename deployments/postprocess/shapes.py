"""The masks of a template's shapes, and their paint: panels, rules, frames, quotation marks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess import contrast, fonts, optics, render
from deployments.postprocess.compose import Paint, paint
from deployments.postprocess.geometry import Rect
from deployments.postprocess.lines import Line
from deployments.postprocess.palette import Palette
from deployments.postprocess.render import Setting, Tile, Typeface
from deployments.postprocess.template import Frame, Mark, Panel, Rule

_MARK_WEIGHT = 900
_MARK_TOP, _MARK_HEIGHT = 0.26, 0.34  # ems: where the mark's ink lies in its line box


@dataclass(frozen=True, slots=True)
class Shaped:
    """A shape in its place, in pixels of the canvas. rtl: of a mark, for words in that direction.

    short: the canvas's short side, which the shape's own lengths are fractions of.
    """

    shape: Panel | Rule | Frame | Mark
    rect: Rect
    short: float
    rtl: bool = False


def mark_size(shape: Mark, short: float) -> tuple[float, float]:
    """Width and height in pixels of a mark's ink."""
    setting = _mark(shape.size * short, rtl=False)
    return setting.width, _MARK_HEIGHT * setting.size


def paint_all(pixels: NDArray[np.uint8], shaped: Sequence[Shaped], palette: Palette) -> None:
    """Lay the shapes on `pixels`, uint8 (H, W, 3), in place, one over the other."""
    for one in shaped:
        colour = palette.named(one.shape.colour, _ground(pixels, one.rect))
        alpha = one.shape.alpha if isinstance(one.shape, Panel) else 1.0
        for tile in _tiles(one):
            paint(pixels, Paint(tile, colour, alpha))
        if isinstance(one.shape, Panel) and one.shape.hairline is not None:
            line = palette.named("accent", _ground(pixels, one.rect))
            for tile in _frame(one.rect.grow(-one.shape.hairline * one.short), _hair(one.short)):
                paint(pixels, Paint(tile, line))


def _hair(short: float) -> float:
    return max(1.0, 0.0022 * short)


def _ground(pixels: NDArray[np.uint8], rect: Rect) -> NDArray[np.uint8]:
    left, top, right, bottom = rect.pixels()
    region = pixels[max(0, top) : bottom, max(0, left) : right].reshape(-1, 3)
    return contrast.sample(region)


def _tiles(one: Shaped) -> Iterator[Tile]:
    rect, shape = one.rect, one.shape
    if isinstance(shape, Mark):
        setting = _mark(shape.size * one.short, one.rtl)
        yield render.glyphs(setting, rect.x, rect.y - _MARK_TOP * setting.size)
    elif isinstance(shape, Frame):
        yield from _frame(rect, max(1.0, shape.thickness * one.short))
    elif isinstance(shape, Panel) and shape.radius > 0:
        radius = shape.radius * one.short
        yield render.rounded(rect.x, rect.y, rect.width, rect.height, radius)
    else:
        yield _bar(rect)


def _frame(rect: Rect, thickness: float) -> Iterator[Tile]:
    inner = rect.height - 2 * thickness
    for x, y, width, height in (
        (rect.x, rect.y, rect.width, thickness),
        (rect.x, rect.bottom - thickness, rect.width, thickness),
        (rect.x, rect.y + thickness, thickness, inner),
        (rect.right - thickness, rect.y + thickness, thickness, inner),
    ):
        yield _bar(Rect(x, y, width, height))


def _bar(rect: Rect) -> Tile:
    """A rectangle on whole pixels, at least one thick."""
    left, top = round(rect.x), round(rect.y)
    width, height = max(1, round(rect.right) - left), max(1, round(rect.bottom) - top)
    return Tile(np.full((height, width), 255, np.uint8), left, top)


def _mark(size: float, rtl: bool) -> Setting:
    text = "”" if rtl else "“"
    families = fonts.order(text, "en")
    sink = optics.sink(families[0], text)
    face = Typeface(families, _MARK_WEIGHT, 0.0, "en", sink)
    return Setting(face, (Line(text, face.advance(text), False),), size, 1.0, "start")
