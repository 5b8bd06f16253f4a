"""A template's shapes painted: the masks of panels, rules, frames and quotation marks."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import Rect, Tile, contrast
from deployments.postprocess.design import Frame, Mark, Palette, Panel
from deployments.postprocess.painting.paint import Paint, paint
from deployments.postprocess.placing import MARK_TOP, Shaped, mark
from deployments.postprocess.typesetting import drawing


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


def _ground(pixels: NDArray[np.uint8], rect: Rect) -> NDArray[np.uint8]:
    left, top, right, bottom = rect.pixels()
    region = pixels[max(0, top) : bottom, max(0, left) : right].reshape(-1, 3)
    return contrast.sample(region)


def _tiles(one: Shaped) -> Iterator[Tile]:
    rect, shape = one.rect, one.shape
    if isinstance(shape, Mark):
        setting = mark(shape.size * one.short, one.rtl)
        yield drawing.glyphs(setting, rect.x, rect.y - MARK_TOP * setting.size)
    elif isinstance(shape, Frame):
        yield from _frame(rect, max(1.0, shape.thickness * one.short))
    elif isinstance(shape, Panel) and shape.radius > 0:
        radius = shape.radius * one.short
        yield drawing.rounded(rect.x, rect.y, rect.width, rect.height, radius)
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


def _hair(short: float) -> float:
    return max(1.0, 0.0022 * short)


def _bar(rect: Rect) -> Tile:
    """A rectangle on whole pixels, at least one thick."""
    left, top = round(rect.x), round(rect.y)
    width, height = max(1, round(rect.right) - left), max(1, round(rect.bottom) - top)
    return Tile(np.full((height, width), 255, np.uint8), left, top)
