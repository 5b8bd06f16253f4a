"""Placing one stack of items: the search over width, size and place."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deployments.postprocess.canvas import CostMap, Rect, Stacks, union
from deployments.postprocess.design import CUT, LEAST, Item, Level, SetText, fit, tries
from deployments.postprocess.typesetting import Align

_BIGGER_IS_BETTER = 0.16  # what the step from size.min to size.max is worth, in cost
_TALL = 0.3  # a stack that fills more than two thirds of its area's height


@dataclass(frozen=True, slots=True)
class Placed:
    """A stack in its place, the column it stands in (start, center or end), and its score: what
    it covers and how it is set, the lower the better."""

    texts: tuple[SetText, ...]
    column: str
    score: float

    @property
    def box(self) -> Rect:
        return union([text.box for text in self.texts])

    @property
    def area(self) -> float:
        """Square pixels that the layers cover, without the gaps between them."""
        return sum(text.box.area for text in self.texts)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a stack may stand. All in pixels; columns and rows as CostMap.best takes them."""

    area: Rect
    forbidden: tuple[Rect, ...]
    columns: tuple[str, ...]
    rows: tuple[float, ...]
    short_side: float


def place(
    items: Sequence[Item], site: Site, cost: CostMap, level: Level, small: Item | None = None
) -> Placed | None:
    """The best-scored setting and place of `items` as one stack; None where none fits.

    small: the one item that `level`, of one scale, is for; all others keep their least size.
    """
    tried = [
        tries(item, site.area.width, site.short_side, _own_level(item, level, small))
        for item in items
    ]
    tops, bottoms = _edges([one.heights for one in tried], [one.gaps for one in tried])
    differs = np.any([one.differs for one in tried], axis=0)
    kept = np.flatnonzero(differs & (bottoms[-1] <= site.area.height))
    if not len(kept):
        return None
    widths = np.array([one.widths for one in tried])[:, kept]
    tops, bottoms = tops[:, kept], bottoms[:, kept]
    sides = np.array([[_side(item, column) for column in site.columns] for item in items])
    slacks = (widths.max(axis=0) - widths)[..., None] * sides[:, None]
    blames = np.sum([one.blames for one in tried], axis=0)[kept]
    blames += _TALL * np.maximum(bottoms[-1] / site.area.height - 2 / 3, 0.0)
    blames -= _BIGGER_IS_BETTER * np.repeat(level.scales, len(level.widths))[kept]
    stacks = Stacks(slacks, tops, widths, np.array([one.heights for one in tried])[:, kept], blames)
    spot = cost.best(stacks, site.columns, site.area, site.forbidden, site.rows)
    if spot is None:
        return None
    xs = slacks[:, spot.stack, site.columns.index(spot.column)].tolist()
    ys = tops[:, spot.stack].tolist()
    chosen = [one.fits[kept[spot.stack]] for one in tried]
    placed = [
        how.set(item, _alignment(item, spot.column)).move(spot.x + x, spot.y + y)
        for item, how, x, y in zip(items, chosen, xs, ys, strict=True)
        if how is not None
    ]
    return Placed(tuple(placed), spot.column, spot.cost)


def fits_at_all(items: Sequence[Item], site: Site) -> bool:
    """Whether the stack fits at the smallest size, whatever is in its way."""
    return fits(items, site, CUT.at(LEAST))


def fits(items: Sequence[Item], site: Site, level: Level, small: Item | None = None) -> bool:
    """Whether the stack fits the area at `level`, of one scale, whatever is in its way."""
    needed = _height(items, site, level, small)
    return needed is not None and needed <= site.area.height


def room(item: Item, site: Site) -> float:
    """Pixels that the item takes at its least size over the area's whole width, downwards; without
    end where even words that may be parted do not fit."""
    height = _height([item], site, CUT.at(0.0))
    return float("inf") if height is None else height


def needed_height(items: Sequence[Item], site: Site) -> float:
    """Pixels that the stack takes at its smallest proper size over the area's whole width; 0
    where it does not fit."""
    needed = _height(items, site, CUT.at(0.0))
    return needed if needed is not None and needed <= site.area.height else 0.0


def _height(
    items: Sequence[Item], site: Site, level: Level, small: Item | None = None
) -> float | None:
    """Pixels that the stack takes over the area's whole width; None where that is too little."""
    fits = []
    for item in items:
        own = _own_level(item, level, small)
        fits.append(fit(item, site.area.width, own.scales[0], site.short_side, own))
    heights = [one.height for one in fits if one is not None]
    if len(heights) < len(items):
        return None
    gaps = [item.style.gap * one.size for item, one in zip(items, fits, strict=True) if one]
    _, bottoms = _edges(heights, gaps)
    return float(bottoms[-1])


def _own_level(item: Item, level: Level, small: Item | None) -> Level:
    return level if small is None or item is small else level.at(0.0)


def _edges(heights: ArrayLike, gaps: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tops and bottoms of boxes below each other, the first at 0; all (items, ...)."""
    steps = np.stack([gaps, heights], axis=1)
    steps[0, 0] = 0.0
    edges = steps.reshape(-1, *steps.shape[2:]).cumsum(axis=0)
    return edges[0::2], edges[1::2]


def _side(item: Item, column: str) -> float:
    """0 for the left, 0.5 for the middle, 1 for the right of the stack."""
    align = _align(item, column)
    return 0.5 if align == "center" else float((align == "end") != item.rtl)


def _alignment(item: Item, column: str) -> Align:
    """Of the lines to each other."""
    return "center" if item.centred else _align(item, column)


def _align(item: Item, column: str) -> Align:
    if item.layer.align != "auto":
        return item.layer.align
    return "center" if column == "center" else "start"
