"""Words as they are set, and the masks that are drawn of them and of what they stand on.

A mask is uint8 (h, w), 255 where the shape covers the pixel wholly; colours and alphas are laid
on by the painting room.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import Rect, Sprite, Tile, trimmed, union
from deployments.postprocess.typesetting import direction, engine, fonts
from deployments.postprocess.typesetting.lines import Line, Run

Align = Literal["start", "center", "end"]
_CAPITALS_EM = 0.73
_STRIKE_EM, _UNDERLINE_EM = 0.34, -0.13  # above the baseline: half of digits' and Hangul's height
_WHITE, _BLACK = "#ffffff", "#000000"  # masks are drawn in white


@dataclass(frozen=True, slots=True)
class Typeface:
    """Families in the order they are tried, weight 1 to 1000, tracking in ems, language.

    sink: ems that the letters stand below the middle of their line box.
    """

    families: tuple[str, ...]
    weight: int
    tracking: float
    lang: str
    sink: float = 0.0

    def advance(self, text: str, at: int = 0) -> float:
        """The width of `text` on one line, in ems, wherever in its copy (`at`) it begins."""
        return _advance(self, text)


@dataclass(frozen=True, slots=True)
class Setting:
    """Lines of words to be drawn: font size in pixels, leading (line height) in ems.

    rotate: degrees clockwise about the middle of the words' box.
    """

    face: Typeface
    lines: tuple[Line, ...]
    size: float
    leading: float
    align: Align
    rotate: float = 0.0

    @property
    def width(self) -> float:
        """Width of the widest line in pixels."""
        return self.size * max(line.width for line in self.lines)

    @property
    def height(self) -> float:
        return self.size * self.leading * len(self.lines)

    def offset(self, line: Line) -> float:
        """Pixels from the left of all lines to that of `line`."""
        slack = self.width - line.width * self.size
        shares = {"start": float(line.rtl), "center": 0.5, "end": float(not line.rtl)}
        return slack * shares[self.align]


def spaced(face: Typeface, stretch: str, rtl: bool) -> Iterator[tuple[str, float]]:
    """Words that run one way and the spaces around them ("") from left to right, each with its
    width in ems; the engine would drop spaces at a line's ends."""
    words = stretch.strip()
    before, _, after = stretch.partition(words) if words else (stretch, "", "")
    parts = [("", before), (words, words), ("", after)]
    for shown, part in reversed(parts) if rtl else parts:
        if part:
            yield shown, face.advance(part)


def glyphs(setting: Setting, x: float, y: float, part: int | None = None) -> Tile:
    """The words, their box's top left corner (before it is turned) at canvas pixel (x, y).

    part: only the runs of that part; lines without runs are wholly of part 0. Without emoji.
    """
    if not fonts.coloured(setting.face.families):
        return _draw(setting, x, y, stroke=0.0, part=part)
    return trimmed(_apart(setting, x, y, part)[0])


def emoji(setting: Setting, x: float, y: float) -> Sprite | None:
    """Those of the glyphs that have colours of their own; None where no face has any."""
    if not fonts.coloured(setting.face.families):
        return None
    return _apart(setting, x, y, None)[1]


def outline(setting: Setting, x: float, y: float, width: float) -> Tile:
    """The words grown by `width` pixels on each side, to be painted under them."""
    return _draw(setting, x, y, stroke=2 * width)


def letters(setting: Setting, x: float, y: float, part: int) -> Rect:
    """The box from the capitals' tops to the baselines of a part's words, before it is turned."""
    size = setting.size
    return union(
        [
            Rect(left, base - _CAPITALS_EM * run.scale * size, run.width * size, run.scale * size)
            for run, left, base in _runs(setting, x, y)
            if run.part == part
        ]
    )


def rounded(x: float, y: float, width: float, height: float, radius: float) -> Tile:
    """A rectangle with round, smooth corners at canvas pixel (x, y)."""
    left, top = int(x // 1), int(y // 1)
    radius = min(radius, width / 2, height / 2)
    # Only its ends are drawn; the plain rows and columns between them are repeated.
    end = int(radius) + 3
    spare_x = max(0, int(width) - 2 * end)
    spare_y = max(0, int(height) - 2 * end)
    tile_width = int(x + width - left) + 2 - spare_x
    tile_height = int(y + height - top) + 2 - spare_y
    ends = Rect(x - left, y - top, width - spare_x, height - spare_y)
    mask = _mask([engine.box(ends, radius, _WHITE)], (tile_width, tile_height))
    columns, rows = np.ones(tile_width, np.intp), np.ones(tile_height, np.intp)
    columns[end] += spare_x
    rows[end] += spare_y
    return Tile(mask.repeat(columns, axis=1).repeat(rows, axis=0), left, top)


def turned(rect: Rect, radius: float, degrees: float, about: Rect) -> Tile:
    """As `rounded`, but turned clockwise about the middle of `about`, within which it lies."""
    if not degrees:
        return rounded(rect.x, rect.y, rect.width, rect.height, radius)
    left, top, right, bottom = about.turned(degrees).pixels()
    box = engine.box(rect.move(-left, -top), radius, _WHITE)
    nodes = engine.turn([box], about.move(-left, -top), degrees)
    return Tile(_mask(nodes, (right - left + 1, bottom - top + 1)), left, top)


def _draw(setting: Setting, x: float, y: float, stroke: float, part: int | None = None) -> Tile:
    drawn = _drawn(setting, x, y, stroke, part, _WHITE)
    return trimmed(Tile(_alpha(drawn.rgba), drawn.x, drawn.y))


def _apart(setting: Setting, x: float, y: float, part: int | None) -> tuple[Tile, Sprite]:
    """The glyphs that take ink, and those that have colours of their own."""
    white = _drawn(setting, x, y, 0.0, part, _WHITE)
    black = _drawn(setting, x, y, 0.0, part, _BLACK).rgba.astype(np.float32)
    # Ink is white in one and black in the other, what has its own colour is the same in both.
    alpha = _alpha(white.rgba)
    inked = np.clip(white.rgba[..., 0] - black[..., 0], 0, 255) / 255
    own = np.rint(alpha * (1 - inked))
    # Where both meet in a pixel, black ink has darkened the colour.
    colours = black[..., :3] * (alpha / np.maximum(own, 1))[..., None]
    pictures = np.dstack([np.minimum(colours, 255), own]).astype(np.uint8)
    return Tile(alpha - pictures[..., 3], white.x, white.y), Sprite(pictures, white.x, white.y)


def _drawn(
    setting: Setting, x: float, y: float, stroke: float, part: int | None, ink: str
) -> Sprite:
    """The words in `ink`."""
    runs = [one for one in _runs(setting, x, y) if part is None or one[0].part == part]
    tallest = max([1.0, *(run.scale for run, _, _ in runs)])
    margin = int(0.3 * tallest * setting.size + stroke) + 2
    words = Rect(x, y, setting.width, setting.height)
    left, top = int(x // 1) - margin, int(y // 1) - margin
    width = int(setting.width) + 2 * margin + 2
    height = int(setting.height) + 2 * margin + 2
    left, top, right, bottom = Rect(left, top, width, height).turned(setting.rotate).pixels()
    nodes = [
        node
        for run, run_x, base in runs
        for node in _run_nodes(setting, run, run_x - left, base - top, stroke, ink)
    ]
    nodes = engine.turn(nodes, words.move(-left, -top), setting.rotate)
    face = setting.face
    size = (right - left, bottom - top)
    return Sprite(engine.pixels(nodes, size, face.families, face.lang), left, top)


def _runs(setting: Setting, x: float, y: float) -> Iterator[tuple[Run, float, float]]:
    """Every run with the canvas pixels of its left end and its baseline; unturned.

    The runs of a line share the baseline of its largest.
    """
    leading, size = setting.leading * setting.size, setting.size
    drop = fonts.baseline(setting.face.families[0]) - setting.face.sink
    for index, line in enumerate(setting.lines):
        if not line.text:
            continue  # a blank line
        runs = line.runs or _plain_runs(setting.face, line)
        base = y + (index + 0.5) * leading + drop * size * max(run.scale for run in runs)
        for run in runs:
            yield run, x + setting.offset(line) + run.x * size, base


@lru_cache(maxsize=4096)
def _plain_runs(face: Typeface, line: Line) -> tuple[Run, ...]:
    """A line that is set alike: one run, which the engine orders; or those that isolates part,
    each by itself, since the engine spaces marks of direction as if they were letters."""
    whole = Run(line.text, 0.0, line.width, line.rtl, 1.0, face.weight, False, False, 0)
    text = direction.isolated(line.text, line.rtl)
    if not direction.MARKS.search(text):
        return (whole,)
    runs, left = [], 0.0
    for _, stretch in engine.visual_order([text], line.rtl, face.families, face.lang):
        rtl = direction.runs_rtl(stretch, line.rtl)
        for words, width in spaced(face, direction.MARKS.sub("", stretch), rtl):
            if words:
                runs.append(replace(whole, text=words, x=left, width=width, rtl=rtl))
            left += width
    return tuple(runs)


def _run_nodes(
    setting: Setting, run: Run, x: float, base: float, stroke: float, ink: str
) -> Iterator[engine.Node]:
    face = setting.face
    size = run.scale * setting.size
    middle = base - fonts.baseline(face.families[0]) * size
    at = x, middle - setting.leading * setting.size / 2
    leading = setting.leading / run.scale
    yield engine.words(
        run.text, at, size, run.weight, leading, face.tracking, ink, stroke, run.rtl, face.lang
    )
    rules = [_STRIKE_EM] * run.strike + [_UNDERLINE_EM] * run.underline
    for above in rules:
        thick = max(1.5, (0.045 + 0.05 * run.weight / 900) * size)
        top = base - above * size - thick / 2
        rule = Rect(x, top, run.width * setting.size, thick)
        yield engine.box(rule.grow(stroke / 2), thick / 6 + stroke / 2, ink)


def _mask(nodes: list[engine.Node], size: tuple[int, int]) -> NDArray[np.uint8]:
    """What shapes without words cover of `size`, (width, height)."""
    return _alpha(engine.pixels(nodes, size, (), "en"))


def _alpha(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.extractChannel(rgba, 3), np.uint8)


@lru_cache(maxsize=16_384)
def _advance(face: Typeface, text: str) -> float:
    return engine.advance(text, face.families, face.weight, face.tracking, face.lang)
