"""Setting and placing one stack of items: the search over width, size and place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

import numpy as np

from deployments.postprocess import plaques
from deployments.postprocess.breaks import clusters
from deployments.postprocess.geometry import Rect, union
from deployments.postprocess.layers import Item
from deployments.postprocess.lines import Line, break_lines
from deployments.postprocess.position import CostMap, Spot
from deployments.postprocess.render import Align, Setting
from deployments.postprocess.text import Copy, Paragraph

_WIDTHS = (1.0, 0.8, 0.62, 0.48, 0.36)  # of the area's width
_SCALES = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)  # from size.max (1) to size.min (0)
_SMALLER = (0.88, 0.76, 0.66, 0.57, 0.5, 0.43, 0.37, 0.32, 0.27, 0.2, 0.1)  # of size.min
_BIGGER_IS_BETTER = 0.16  # what the step from size.min to size.max is worth, in cost
_FLOOR, _FLOOR_PX = 0.012, 7.0  # of the short side, and pixels: nothing is drawn smaller
_MANY_LINES = {"headline": (2, 0.04), "sub": (3, 0.02), "legal": (2, 0.03)}  # beyond, each costs
_TURNED_TRIES = 4
_TALL = 0.3  # a stack that fills more than two thirds of its area's height


@dataclass(frozen=True, slots=True)
class Level:
    """How far the rules of the spec are bent. scales: of the range, or below 0 under size.min.
    widths: of the area's, that are tried."""

    bend: bool
    scales: tuple[float, ...]
    widths: tuple[float, ...] = _WIDTHS


RULES = Level(bend=False, scales=_SCALES)
BENT = Level(bend=True, scales=_SCALES)
SMALL = Level(bend=True, scales=tuple(factor - 1 for factor in _SMALLER))


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
        return replace(self, box=self.box.move(dx, dy), x=self.x + dx, y=self.y + dy)


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


def place(items: Sequence[Item], site: Site, cost: CostMap, level: Level) -> Placed | None:
    """The best-scored setting and place of `items` as one stack; None where none fits."""
    settings = [
        (scale, texts) for scale in level.scales for texts in _settings(items, site, level, scale)
    ]
    if not settings:
        return None
    stacks = np.array([_boxes(texts, column) for _, texts in settings for column in site.columns])
    columns = site.columns * len(settings)
    spots = iter(cost.best(stacks, columns, site.area, site.forbidden, site.rows))
    best: tuple[float, Sequence[SetText], Spot] | None = None
    for scale, texts in settings:
        merit = _style_cost(texts, site) - _BIGGER_IS_BETTER * scale
        for spot in islice(spots, len(site.columns)):
            if spot is not None and (best is None or spot.cost + merit < best[0] - 1e-9):
                best = (spot.cost + merit, texts, spot)
    if best is None:
        return None
    score, chosen, spot = best
    placed = tuple(text.move(spot.x, spot.y) for text in _stack(chosen, spot.column))
    return Placed(placed, spot.column, score)


def fits_at_all(items: Sequence[Item], site: Site) -> bool:
    """Whether the stack fits at the smallest size, whatever is in its way."""
    return _set_all(items, site, site.area.width, SMALL.scales[-1], bend=True) is not None


def needed_height(items: Sequence[Item], site: Site) -> float:
    """Pixels that the stack takes at its smallest proper size over the area's whole width."""
    texts = _set_all(items, site, site.area.width, 0.0, bend=True)
    return _height(texts) if texts else 0.0


def _settings(items: Sequence[Item], site: Site, level: Level, scale: float) -> list[list[SetText]]:
    """The different settings of `items` at one size, over ever less of the area's width."""
    settings: list[list[SetText]] = []
    seen = set()
    for share in level.widths if scale >= 0 else level.widths[:1]:
        width = share * site.area.width
        if settings and _single_lines(settings[-1], width):
            continue
        texts = _set_all(items, site, width, scale, level.bend)
        if texts is None:
            continue
        key = tuple((text.setting.lines, text.setting.size) for text in texts)
        if key not in seen:
            seen.add(key)
            settings.append(texts)
    return settings


def _single_lines(texts: Sequence[SetText], width: float) -> bool:
    """Whether the texts would be set in a lesser `width` just as they are."""
    return all(len(text.setting.lines) == 1 and text.box.width <= width for text in texts)


def _boxes(texts: Sequence[SetText], column: str) -> list[tuple[float, float, float, float]]:
    """(x, y, width, height) of each text's box in its stack, as CostMap.best takes them."""
    boxes = [text.box for text in texts]
    return [
        (box.x + slack, box.y, box.width, box.height)
        for box, slack in zip(boxes, _slacks(texts, column), strict=True)
    ]


def _height(texts: Sequence[SetText]) -> float:
    return max(text.box.bottom for text in texts)


def _style_cost(texts: Sequence[SetText], site: Site) -> float:
    """What a typographer would frown at."""
    cost = _TALL * max(0.0, _height(texts) / site.area.height - 2 / 3)
    for text in texts:
        free, dear = _MANY_LINES.get(text.item.role, (2, 0.0))
        cost += dear * max(0, len(text.setting.lines) - free)
    return cost


def _set_all(
    items: Sequence[Item], site: Site, width: float, scale: float, bend: bool
) -> list[SetText] | None:
    """Items below each other from (0, 0), not aligned yet; None if too wide or too tall."""
    texts: list[SetText] = []
    y = 0.0
    for item in items:
        text = _set(item, width, scale, site.short_side, bend)
        if text is None:
            return None
        y += item.style.gap * text.setting.size if texts else 0.0
        texts.append(text.move(0.0, y))
        y = texts[-1].box.bottom
        if y > site.area.height:
            return None
    return texts


def _stack(texts: Sequence[SetText], column: str) -> list[SetText]:
    """Texts aligned in the width of the widest, as suits the column they stand in."""
    aligned = []
    for text, slack in zip(texts, _slacks(texts, column), strict=True):
        align: Align = "center" if text.item.centred else _align(text.item, column)
        setting = replace(text.setting, align=align)
        aligned.append(replace(text, setting=setting).move(slack, 0.0))
    return aligned


def _slacks(texts: Sequence[SetText], column: str) -> list[float]:
    """How far each of `texts` moves to the right in the width of the widest."""
    width = max(text.box.width for text in texts)
    return [(width - text.box.width) * _side(text.item, column) for text in texts]


def _side(item: Item, column: str) -> float:
    """0 for the left, 0.5 for the middle, 1 for the right of the stack."""
    align = _align(item, column)
    return 0.5 if align == "center" else float((align == "end") != item.rtl)


@lru_cache(maxsize=1024)
def _set(item: Item, width: float, scale: float, short: float, bend: bool) -> SetText | None:
    """`item` no wider than `width`. Turned words take more of it the more lines they have."""
    size = _font_size(item, scale, short)
    height = item.leading * size
    for _ in range(_TURNED_TRIES if item.layer.rotate else 1):
        text = _set_within(item, _room(item, size, width, height), size, scale, bend)
        if text is None or text.box.width <= width + 1e-6:
            return text
        height = text.setting.height
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


def _set_within(item: Item, room: float, size: float, scale: float, bend: bool) -> SetText | None:
    """`item` in lines of at most `room` pixels, before it is turned."""
    ems = room / size
    if ems <= 0:
        return None
    balance = item.style.balance
    lines = break_lines(item.copy, item.advance, ems, balance, split_words=bend)
    if lines is None or max(line.width for line in lines) > ems:
        return None
    cut = False
    if len(lines) > item.max_lines:
        if item.layer.fit == "clamp" and scale <= 0:
            lines, cut = _cut(item, ems), True
            if not lines:
                return None
        elif not bend:
            return None
    lines = item.lay_out(lines)
    setting = Setting(item.face, lines, size, item.leading, "start", item.layer.rotate)
    across, down = _padding(item, setting.width, setting.height, size)
    text = SetText(item, setting, Rect(0, 0, 0, 0), across, down, cut)
    box = text.frame.turned(item.layer.rotate)
    return replace(text, box=box).move(-box.x, -box.y)


def _align(item: Item, column: str) -> Align:
    if item.layer.align != "auto":
        return item.layer.align
    return "center" if column == "center" else "start"


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
