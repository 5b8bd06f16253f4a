"""The only file that knows the rendering engine (pytakumi): measures words and draws masks.

A mask is uint8 (h, w), 255 where the shape covers the pixel wholly; colours and alphas are laid
on by `compose`. The engine is young: it is pinned exactly and held by golden images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pytakumi import NodeTree, Renderer, container, text_node

from deployments.postprocess import fonts
from deployments.postprocess.contrast import grow, halve
from deployments.postprocess.lines import Line

Align = Literal["start", "center", "end"]
# Noto's Hangul, Han and Latin capitals sit this far below the middle of their line box.
_OPTICAL_SHIFT_EM = 0.05
_MAX_BLUR = 48  # pixels; a blur's cost grows with its radius, and softer looks no better
_WIDE = 6  # pixels of a shadow's reach
_CACHE_BYTES = 32 << 20
_MEASURED_AT = 1000  # pixels; advances scale with the size, since nothing is hinted


@dataclass(frozen=True, slots=True)
class Typeface:
    """Families in the order they are tried, weight 100 to 900, tracking in ems, language."""

    families: tuple[str, ...]
    weight: int
    tracking: float
    lang: str

    def advance(self, text: str) -> float:
        """The width of `text` on one line, in ems."""
        return _advance(self, text)


@dataclass(frozen=True, slots=True)
class Setting:
    """Lines of words to be drawn: font size in pixels, leading (line height) in ems."""

    face: Typeface
    lines: tuple[Line, ...]
    size: float
    leading: float
    align: Align

    @property
    def width(self) -> float:
        """Width of the widest line in pixels."""
        return self.size * max(line.width for line in self.lines)

    @property
    def height(self) -> float:
        return self.size * self.leading * len(self.lines)


@dataclass(frozen=True, slots=True)
class Tile:
    """A mask and the canvas pixel that its top left pixel lies on."""

    mask: NDArray[np.uint8]
    x: int
    y: int


def glyphs(setting: Setting, x: float, y: float) -> Tile:
    """The words, their box's top left corner at canvas pixel (x, y)."""
    return _draw(setting, x, y, stroke=0.0)


def outline(setting: Setting, x: float, y: float, width: float) -> Tile:
    """The words grown by `width` pixels on each side, to be painted under them."""
    return _draw(setting, x, y, stroke=2 * width)


def shadow(glyph_tile: Tile, radius: float) -> Tile:
    """A soft mask around glyphs: grown by `radius` pixels (at most 48), then blurred."""
    reach = int(min(max(radius, 1.0), _MAX_BLUR))
    pad = 3 * reach
    mask = cv2.copyMakeBorder(glyph_tile.mask, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    mask = np.asarray(mask, np.uint8)
    if reach < _WIDE:
        soft = cv2.GaussianBlur(grow(mask, reach), (0, 0), 0.6 * reach)
    else:  # nothing fine is in it: half its pixels a side are drawn, then stretched
        small = cv2.GaussianBlur(grow(halve(mask), reach / 2), (0, 0), 0.3 * reach)
        soft = cv2.resize(small, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    return Tile(np.asarray(soft, np.uint8), glyph_tile.x - pad, glyph_tile.y - pad)


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
    shape = container(
        [],
        style={
            "position": "absolute",
            "left": x - left,
            "top": y - top,
            "width": width - spare_x,
            "height": height - spare_y,
            "borderRadius": radius,
            "backgroundColor": "#ffffff",
        },
    )
    mask = _mask([shape], tile_width, tile_height, (), "en")
    columns, rows = np.ones(tile_width, np.intp), np.ones(tile_height, np.intp)
    columns[end] += spare_x
    rows[end] += spare_y
    return Tile(mask.repeat(columns, axis=1).repeat(rows, axis=0), left, top)


def warm() -> None:
    """Load the faces and shape a word, so that the first advert does not pay for it."""
    Typeface(fonts.families_for("ko"), 400, 0.0, "ko").advance("가")


def _draw(setting: Setting, x: float, y: float, stroke: float) -> Tile:
    margin = int(0.3 * setting.size + stroke) + 2
    left, top = int(x // 1) - margin, int(y // 1) - margin
    width = int(setting.width) + 2 * margin + 2
    height = int(setting.height) + 2 * margin + 2
    nodes = [
        _line_node(setting, line, index, x - left, y - top, stroke)
        for index, line in enumerate(setting.lines)
    ]
    face = setting.face
    return _trimmed(Tile(_mask(nodes, width, height, face.families, face.lang), left, top))


def _trimmed(tile: Tile) -> Tile:
    """The tile without the empty rows and columns around its shape, if it has any shape."""
    left, top, width, height = cv2.boundingRect(tile.mask)
    if width == 0:
        return tile
    mask = np.ascontiguousarray(tile.mask[top : top + height, left : left + width])
    return Tile(mask, tile.x + left, tile.y + top)


def _line_node(
    setting: Setting, line: Line, index: int, x: float, y: float, stroke: float
) -> NodeTree:
    slack = setting.width - line.width * setting.size
    leading = setting.leading * setting.size
    shares = {"start": float(line.rtl), "center": 0.5, "end": float(not line.rtl)}
    style: dict[str, Any] = {
        "position": "absolute",
        "left": x + slack * shares[setting.align],
        "top": y + index * leading - _OPTICAL_SHIFT_EM * setting.size,
        "fontSize": setting.size,
        "fontWeight": setting.face.weight,
        "lineHeight": setting.leading,
        "letterSpacing": setting.face.tracking * setting.size,
        "whiteSpace": "nowrap",
        "color": "#ffffff",
    }
    if stroke:
        style |= {
            "WebkitTextStrokeWidth": stroke,
            "WebkitTextStrokeColor": "#ffffff",
            "strokeLinejoin": "round",
        }
    return text_node(
        line.text, style=style, dir="rtl" if line.rtl else "ltr", lang=setting.face.lang
    )


def _mask(
    nodes: Sequence[NodeTree], width: int, height: int, families: tuple[str, ...], lang: str
) -> NDArray[np.uint8]:
    canvas = container(
        nodes, style={"position": "relative", "display": "flex", "width": width, "height": height}
    )
    raw = _engine().render(
        canvas, width=width, height=height, format="raw", font_families=list(families), lang=lang
    )
    drawn = np.frombuffer(raw, np.uint8).reshape(height, width, 4)
    return np.asarray(cv2.extractChannel(drawn, 3), np.uint8)


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
        tree = _engine().measure(
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
def _engine() -> Renderer:
    """One renderer for all threads, with every face registered once."""
    renderer = Renderer(cache_max_bytes=_CACHE_BYTES)
    for face in fonts.faces():
        renderer.register_font(face.path.read_bytes(), name=face.family)
    return renderer
