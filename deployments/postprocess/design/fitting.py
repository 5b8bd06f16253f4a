"""One item set within a width: its size, its lines and the box that they take."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import Rect
from deployments.postprocess.design import plaques
from deployments.postprocess.design.items import Item
from deployments.postprocess.typesetting import (
    Align,
    Copy,
    Line,
    Paragraph,
    Setting,
    break_lines,
    clusters,
)

_WIDTHS = (1.0, 0.8, 0.62, 0.48, 0.36)  # of the area's width
_SCALES = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)  # from size.max (1) to size.min (0)
_FLOOR, _FLOOR_PX = 0.012, 7.0  # of the short side, and pixels: nothing is drawn smaller
_MANY_LINES = {"headline": (2, 0.04), "sub": (3, 0.02), "legal": (2, 0.03)}  # beyond, each costs
_TURNED_TRIES = 4
_NOTHING = (0.0, math.inf, 0.0, 0.0)  # width, height, size and lines of what does not fit


@dataclass(frozen=True, slots=True)
class Level:
    """How far the rules of the spec are bent. lines: whether there may be more than max_lines;
    cut: whether words may be parted. scales: of the range, or below 0 under size.min. widths: of
    the area's, from the widest, that are tried at each scale."""

    lines: bool
    cut: bool
    scales: tuple[float, ...]
    widths: tuple[float, ...] = _WIDTHS

    def at(self, scale: float) -> "Level":
        """The same at one scale over the area's whole width."""
        return Level(self.lines, self.cut, (scale,), (1.0,))


RULES = Level(lines=False, cut=False, scales=_SCALES)
LINES = Level(lines=True, cut=False, scales=_SCALES)
CUT = Level(lines=True, cut=True, scales=_SCALES)
LEAST = -0.9  # the scale of the smallest size that is tried


@dataclass(frozen=True, slots=True)
class SetText:
    """One item, set and placed. box: all that it covers, its pill included; x, y: its words."""

    item: Item
    setting: Setting
    box: Rect
    x: float
    y: float
    cut: bool = False

    @property
    def frame(self) -> Rect:
        """The box before it is turned about its middle."""
        width, height = self.setting.width, self.setting.height
        across, down = _padding(self.item, width, height, self.setting.size)
        return Rect(self.x - across, self.y - down, width + 2 * across, height + 2 * down)

    def move(self, dx: float, dy: float) -> "SetText":
        box = self.box.move(dx, dy)
        return SetText(self.item, self.setting, box, self.x + dx, self.y + dy, self.cut)


@dataclass(frozen=True, slots=True)
class Fit:
    """How one item can be set: its lines, its font size, and its box's width and height; pixels."""

    lines: tuple[Line, ...]
    size: float
    width: float
    height: float
    cut: bool = False

    def suits(self, item: Item, width: float) -> bool:
        """Whether `item` may stay as it is in `width` pixels."""
        return self.width <= width and len(self.lines) <= item.max_lines

    def set(self, item: Item, align: Align) -> SetText:
        """The item set so, its box at (0, 0)."""
        lines = item.lay_out(self.lines)
        setting = Setting(item.face, lines, self.size, item.leading, align, item.layer.rotate)
        width, height = setting.width, setting.height
        across, down = _padding(item, width, height, self.size)
        box = Rect(0.0, 0.0, width + 2 * across, height + 2 * down).turned(item.layer.rotate)
        return SetText(item, setting, box, across, down, self.cut).move(-box.x, -box.y)


@dataclass(frozen=True, slots=True, eq=False)
class Tries:
    """One item at all scales and widths of a level, scale by scale; None where it does not fit.

    widths, heights, gaps: float64 (n,), of their boxes and above them, in pixels; a height is
    infinite where nothing fits. blames: float64 (n,), what is held against so many lines. differs:
    bool (n,), whether one is set otherwise than in the width before.
    """

    fits: tuple[Fit | None, ...]
    widths: NDArray[np.float64]
    heights: NDArray[np.float64]
    gaps: NDArray[np.float64]
    blames: NDArray[np.float64]
    differs: NDArray[np.bool_]


@lru_cache(maxsize=512)
def tries(item: Item, width: float, short: float, level: Level) -> Tries:
    """`item` in an area so wide; short: the canvas's short side. Both in pixels."""
    fits: list[Fit | None] = []
    differs: list[bool] = []
    for scale in level.scales:
        before: Fit | None = None
        for one in _narrowing(item, width, short, scale, level):
            fits.append(one)
            differs.append(one is not before and one != before)
            before = one
    rows = [(f.width, f.height, f.size, len(f.lines)) if f else _NOTHING for f in fits]
    widths, heights, sizes, lines = np.array(rows).T
    free, dear = _MANY_LINES.get(item.role, (2, 0.0))
    blames = dear * np.maximum(lines - free, 0.0)
    return Tries(tuple(fits), widths, heights, item.style.gap * sizes, blames, np.array(differs))


def _narrowing(
    item: Item, width: float, short: float, scale: float, level: Level
) -> Iterator[Fit | None]:
    """`item` at one scale within ever less of `width`.

    Lines that fit the next width too stay as they are, and what fits no line of one width fits
    none of a lesser.
    """
    size = _font_size(item, scale, short)
    one: Fit | None = _in_one_line(item, size)
    for share in level.widths:
        if one is not None and one.cut:
            one = None  # what is cut short at least uses all the width
        if one is not None and not one.suits(item, share * width):
            one = _within(item, share * width, size, scale, level)
        yield one


def fit(item: Item, width: float, scale: float, short: float, level: Level) -> Fit | None:
    """`item` no wider than `width`; None where it does not fit."""
    size = _font_size(item, scale, short)
    one = _in_one_line(item, size)
    return one if one.suits(item, width) else _within(item, width, size, scale, level)


def _in_one_line(item: Item, size: float) -> Fit:
    """What every wide enough width gives: a line for each paragraph."""
    return _fitted(item, _whole_lines(item), size)


@lru_cache(maxsize=256)
def _whole_lines(item: Item) -> tuple[Line, ...]:
    lines = break_lines(item.copy, item.advance, math.inf)
    assert lines is not None, "no word is wider than all there is"
    return lines


def _within(item: Item, width: float, size: float, scale: float, level: Level) -> Fit | None:
    """`item` no wider than `width`. Turned words take more of it the more lines they have."""
    if not item.layer.rotate:
        room = width - 2 * _padding(item, 0.0, 0.0, size)[0]
        one = _fit_within(item, room, size, scale, level)
        return one if one is None or one.width <= width + 1e-6 else None
    height = item.leading * size
    for _ in range(_TURNED_TRIES):
        one = _fit_within(item, _room(item, size, width, height), size, scale, level)
        if one is None or one.width <= width + 1e-6:
            return one
        height = size * item.leading * len(one.lines)
    return None


def _room(item: Item, size: float, width: float, height: float) -> float:
    """Pixels that a line may take so that `height` of them, padded and turned, fit `width`."""
    pad_x, pad_y = _padding(item, 0.0, 0.0, size)
    turn = math.radians(item.layer.rotate)
    across = (height + 2 * pad_y) * abs(math.sin(turn))
    return (width - across) / math.cos(turn) - 2 * pad_x


def _padding(item: Item, width: float, height: float, size: float) -> tuple[float, float]:
    """Pixels between words of width x height and the border of their box, across and down."""
    if item.pill:
        return plaques.padding(item.plaque, width, height, size)
    return item.stroke * size, item.stroke * size


def _fit_within(item: Item, room: float, size: float, scale: float, level: Level) -> Fit | None:
    """`item` in lines of at most `room` pixels, before it is turned."""
    ems = room / size
    if ems <= 0:
        return None
    balance = item.style.balance
    lines = break_lines(item.copy, item.advance, ems, balance, split_words=level.cut)
    if lines is None or max(line.width for line in lines) > ems:
        return None
    cut = False
    if len(lines) > item.max_lines:
        if item.layer.fit == "clamp" and scale <= 0:
            lines, cut = _cut(item, ems), True
            if not lines:
                return None
        elif not level.lines:
            return None
    return _fitted(item, lines, size, cut)


def _fitted(item: Item, lines: tuple[Line, ...], size: float, cut: bool = False) -> Fit:
    width = size * max(line.width for line in lines)
    height = size * item.leading * len(lines)
    across, down = _padding(item, width, height, size)
    width, height = width + 2 * across, height + 2 * down
    if item.layer.rotate:
        box = Rect(0.0, 0.0, width, height).turned(item.layer.rotate)
        width, height = box.width, box.height
    return Fit(lines, size, width, height, cut)


def _font_size(item: Item, scale: float, short: float) -> float:
    """Pixels. A strict item keeps size.max until everything has to shrink (scale < 0)."""
    size = item.size
    if scale < 0:
        share = size.min * (1 + scale)
    elif item.layer.fit == "strict":
        share = size.max
    else:
        share = size.min + (size.max - size.min) * scale
    return round(max(share * short, _FLOOR * short, _FLOOR_PX), 2)


def _cut(item: Item, ems: float) -> tuple[Line, ...]:
    """The words up to `max_lines`, ended by an ellipsis; empty where not even that fits."""
    paragraph = item.copy.paragraphs[0]
    words = clusters(item.copy.plain.replace("\n", " "))
    low, high = 0, len(words)
    kept: tuple[Line, ...] = ()
    while low <= high:
        middle = (low + high) // 2
        shorter = Paragraph("".join(words[:middle]).rstrip() + "…", paragraph.rtl)
        copy = Copy((shorter,), item.copy.lang, item.copy.tracked)
        lines = break_lines(copy, item.advance, ems, item.style.balance, split_words=True)
        if lines is not None and len(lines) <= item.max_lines:
            kept, low = lines, middle + 1
        else:
            high = middle - 1
    return kept
