"""The only file that knows the rendering engine (pytakumi): measures words and draws masks.

A mask is uint8 (h, w), 255 where the shape covers the pixel wholly; colours and alphas are laid
on by `compose`. The engine is young: it is pinned exactly and held by golden images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pytakumi import NodeTree, Renderer, container, text_node

from deployments.postprocess.canvas import Rect, Sprite, Tile, trimmed, union
from deployments.postprocess.typesetting import fonts
from deployments.postprocess.typesetting.lines import Line, Run

Align = Literal["start", "center", "end"]
_known: set[str] = set()  # families that the engine has been given
_learning = Lock()
_CAPITALS_EM = 0.73
_STRIKE_EM, _UNDERLINE_EM = 0.34, -0.13  # above the baseline: half of digits' and Hangul's height
_WHITE, _BLACK = "#ffffff", "#000000"  # masks are drawn in white
_CACHE_BYTES = 32 << 20
_MEASURED_AT = 1000  # pixels; advances scale with the size, since nothing is hinted


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
    mask = _mask([_box_node(ends, radius)], (tile_width, tile_height), (), "en")
    columns, rows = np.ones(tile_width, np.intp), np.ones(tile_height, np.intp)
    columns[end] += spare_x
    rows[end] += spare_y
    return Tile(mask.repeat(columns, axis=1).repeat(rows, axis=0), left, top)


def turned(rect: Rect, radius: float, degrees: float, about: Rect) -> Tile:
    """As `rounded`, but turned clockwise about the middle of `about`, within which it lies."""
    if not degrees:
        return rounded(rect.x, rect.y, rect.width, rect.height, radius)
    left, top, right, bottom = about.turned(degrees).pixels()
    nodes = _turn([_box_node(rect.move(-left, -top), radius)], about.move(-left, -top), degrees)
    return Tile(_mask(nodes, (right - left + 1, bottom - top + 1), (), "en"), left, top)


def warm() -> None:
    """Load every face and shape a letter, so that the first advert does not pay for it.

    Raises ValueError naming the font file that the engine cannot use.
    """
    for face in fonts.faces():
        letter = chr(min(fonts.coverage(face.family) - set(range(0x21)), default=0x21))
        Typeface((face.family,), face.weights[0], 0.0, "en").advance(letter)


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
    nodes = _turn(nodes, words.move(-left, -top), setting.rotate)
    face = setting.face
    size = (right - left, bottom - top)
    return Sprite(_pixels(nodes, size, face.families, face.lang), left, top)


def _runs(setting: Setting, x: float, y: float) -> Iterator[tuple[Run, float, float]]:
    """Every run with the canvas pixels of its left end and its baseline; unturned.

    The runs of a line share the baseline of its largest.
    """
    leading, size = setting.leading * setting.size, setting.size
    drop = fonts.baseline(setting.face.families[0]) - setting.face.sink
    for index, line in enumerate(setting.lines):
        whole = Run(line.text, 0.0, line.width, line.rtl, 1.0, setting.face.weight, False, False, 0)
        runs = line.runs or (whole,)
        base = y + (index + 0.5) * leading + drop * size * max(run.scale for run in runs)
        for run in runs:
            yield run, x + setting.offset(line) + run.x * size, base


def _run_nodes(
    setting: Setting, run: Run, x: float, base: float, stroke: float, ink: str
) -> Iterator[NodeTree]:
    size = run.scale * setting.size
    middle = base - fonts.baseline(setting.face.families[0]) * size
    style: dict[str, Any] = {
        "position": "absolute",
        "left": x,
        "top": middle - setting.leading * setting.size / 2,
        "fontSize": size,
        "fontWeight": run.weight,
        "lineHeight": setting.leading / run.scale,
        "letterSpacing": setting.face.tracking * size,
        "whiteSpace": "nowrap",
        "color": ink,
    }
    if stroke:
        style |= {
            "WebkitTextStrokeWidth": stroke,
            "WebkitTextStrokeColor": ink,
            "strokeLinejoin": "round",
        }
    yield text_node(run.text, style=style, dir="rtl" if run.rtl else "ltr", lang=setting.face.lang)
    rules = [_STRIKE_EM] * run.strike + [_UNDERLINE_EM] * run.underline
    for above in rules:
        thick = max(1.5, (0.045 + 0.05 * run.weight / 900) * size)
        top = base - above * size - thick / 2
        rule = Rect(x, top, run.width * setting.size, thick)
        yield _box_node(rule.grow(stroke / 2), thick / 6 + stroke / 2, ink)


def _box_node(rect: Rect, radius: float, colour: str = _WHITE) -> NodeTree:
    return container(
        [],
        style={
            "position": "absolute",
            "left": rect.x,
            "top": rect.y,
            "width": rect.width,
            "height": rect.height,
            "borderRadius": min(radius, rect.width / 2, rect.height / 2),
            "backgroundColor": colour,
        },
    )


def _turn(nodes: list[NodeTree], about: Rect, degrees: float) -> list[NodeTree]:
    """`nodes` turned clockwise about the middle of a rectangle."""
    if not degrees:
        return nodes
    x, y = about.x + about.width / 2, about.y + about.height / 2
    style = {
        "position": "absolute", "left": 0, "top": 0, "width": 2 * x, "height": 2 * y,
        "transformOrigin": f"{x}px {y}px", "transform": f"rotate({degrees}deg)",
    }  # fmt: skip
    return [container(nodes, style=style)]


def _mask(
    nodes: Sequence[NodeTree], size: tuple[int, int], families: tuple[str, ...], lang: str
) -> NDArray[np.uint8]:
    return _alpha(_pixels(nodes, size, families, lang))


def _alpha(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.extractChannel(rgba, 3), np.uint8)


def _pixels(
    nodes: Sequence[NodeTree], size: tuple[int, int], families: tuple[str, ...], lang: str
) -> NDArray[np.uint8]:
    """uint8 (h, w, 4), straight alpha."""
    width, height = size
    canvas = container(
        nodes, style={"position": "relative", "display": "flex", "width": width, "height": height}
    )
    raw = _engine(families).render(
        canvas, width=width, height=height, format="raw", font_families=list(families), lang=lang
    )
    return np.frombuffer(raw, np.uint8).reshape(height, width, 4)


@lru_cache(maxsize=16_384)
def _advance(face: Typeface, text: str) -> float:
    """Measured between two strokes, since the engine drops spaces at a line's ends."""
    style = {
        "fontSize": _MEASURED_AT,
        "fontWeight": face.weight,
        "letterSpacing": face.tracking * _MEASURED_AT,
        "whiteSpace": "nowrap",
    }

    def extent(words: str) -> float:
        tree = _engine(face.families).measure(
            text_node(words, style=style, lang=face.lang),
            width=10_000 * _MEASURED_AT,
            font_families=list(face.families),
            lang=face.lang,
        )
        return float(sum(run["width"] for run in tree["runs"]))

    if text == " ":
        return (extent("| |") - extent("||")) / _MEASURED_AT
    return extent(text) / _MEASURED_AT


@lru_cache
def _renderer() -> Renderer:
    return Renderer(cache_max_bytes=_CACHE_BYTES)


def _engine(families: Sequence[str]) -> Renderer:
    """One renderer for all threads, which knows at least `families`."""
    renderer = _renderer()
    for family in families:
        if family not in _known:
            with _learning:
                _learn(renderer, family)
    return renderer


def _learn(renderer: Renderer, family: str) -> None:
    if family in _known:
        return
    for face in fonts.of_family(family):
        least, most = face.weights
        try:
            data = face.path.read_bytes()
            if least == most:
                renderer.register_font(data, name=family, style="normal", weight=least)
            else:
                renderer.register_font(data, name=family, style="normal")
        except Exception as error:  # the engine has no type of its own for it
            raise ValueError(f"{face.path}: the font cannot be drawn ({error})") from error
    _known.add(family)
