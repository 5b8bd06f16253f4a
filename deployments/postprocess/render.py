"""The only file that knows the rendering engine (pytakumi): measures words and draws masks.

A mask is uint8 (h, w), 255 where the shape covers the pixel wholly; colours and alphas are laid
on by `compose`. The engine is young: it is pinned exactly and held by golden images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pytakumi import NodeTree, Renderer, container, text_node

from deployments.postprocess import fonts
from deployments.postprocess.contrast import distance
from deployments.postprocess.lines import Line

Align = Literal["start", "center", "end"]
_known: set[str] = set()  # families that the engine has been given
_learning = Lock()
_MAX_BLUR = 48  # pixels; a blur's cost grows with its radius, and softer looks no better
_COARSE = 6  # pixels of reach, from which a shadow is drawn at half its size
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

    def offset(self, line: Line) -> float:
        """Pixels from the left of all lines to that of `line`."""
        slack = self.width - line.width * self.size
        shares = {"start": float(line.rtl), "center": 0.5, "end": float(not line.rtl)}
        return slack * shares[self.align]


@dataclass(frozen=True, slots=True)
class Sprite:
    """Pixels with colours of their own, uint8 (h, w, 4), and where their top left one lies."""

    rgba: NDArray[np.uint8]
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Tile:
    """A mask and the canvas pixel that its top left pixel lies on."""

    mask: NDArray[np.uint8]
    x: int
    y: int


def glyphs(setting: Setting, x: float, y: float) -> Tile:
    """The words, their box's top left corner at canvas pixel (x, y); without their emoji."""
    tile = _draw(setting, x, y, stroke=0.0)
    pictures = emoji(setting, x, y)
    if pictures is None:
        return tile
    return Tile(tile.mask - pictures.rgba[..., 3], tile.x, tile.y)


def emoji(setting: Setting, x: float, y: float) -> Sprite | None:
    """The words' glyphs that have colours of their own, for the same corner; None without any."""
    if not fonts.coloured(setting.face.families):
        return None
    white, left, top = _rgba(setting, x, y, 0.0, "#ffffff")
    black, _, _ = _rgba(setting, x, y, 0.0, "#000000")
    # Ink is white in one and black in the other, what has its own colour is the same in both.
    drawn = white[..., 3].astype(np.float32)
    inked = (white[..., 0].astype(np.float32) - black[..., 0]) / 255
    own = np.rint(drawn * (1 - inked))
    colours = black[..., :3] * (drawn / np.maximum(own, 1))[..., None]
    rgba = np.dstack([np.clip(colours, 0, 255), own]).astype(np.uint8)
    return Sprite(rgba, left, top)


def outline(setting: Setting, x: float, y: float, width: float) -> Tile:
    """The words grown by `width` pixels on each side, to be painted under them."""
    return _draw(setting, x, y, stroke=2 * width)


def shadow(glyph_tile: Tile, radius: float) -> Tile:
    """A soft mask around glyphs: grown by `radius` pixels (at most 48), then blurred."""
    reach = int(min(max(radius, 1.0), _MAX_BLUR))
    pad = 3 * reach
    mask = cv2.copyMakeBorder(glyph_tile.mask, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    height, width = mask.shape
    # A wide shadow has nothing fine in it: half its pixels a side are drawn, then stretched.
    scale = 2 if reach >= _COARSE else 1
    if scale > 1:
        size = (-(-width // scale), -(-height // scale))
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    away = scale * distance(np.asarray(mask, np.uint8))
    grown = cv2.convertScaleAbs(np.clip(reach + 0.5 - away, 0.0, 1.0), alpha=255)
    soft = cv2.GaussianBlur(grown, (0, 0), 0.6 * reach / scale)
    if scale > 1:
        soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
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
    mask = _pixels([shape], tile_width, tile_height, (), "en")[..., 3]
    columns, rows = np.ones(tile_width, np.intp), np.ones(tile_height, np.intp)
    columns[end] += spare_x
    rows[end] += spare_y
    return Tile(mask.repeat(columns, axis=1).repeat(rows, axis=0), left, top)


def warm() -> None:
    """Load every face and shape a letter, so that the first advert does not pay for it.

    Raises ValueError naming the font file that the engine cannot use.
    """
    for face in fonts.faces():
        letter = chr(min(fonts.coverage(face.family) - set(range(0x21)), default=0x21))
        Typeface((face.family,), face.weights[0], 0.0, "en").advance(letter)


def _draw(setting: Setting, x: float, y: float, stroke: float) -> Tile:
    rgba, left, top = _rgba(setting, x, y, stroke, "#ffffff")
    return Tile(rgba[..., 3].copy(), left, top)


def _rgba(
    setting: Setting, x: float, y: float, stroke: float, ink: str
) -> tuple[NDArray[np.uint8], int, int]:
    """Pixels of the words in `ink`, and the canvas pixel of their top left one."""
    margin = int(0.3 * setting.size + stroke) + 2
    left, top = int(x // 1) - margin, int(y // 1) - margin
    width = int(setting.width) + 2 * margin + 2
    height = int(setting.height) + 2 * margin + 2
    nodes = [
        _line_node(setting, line, index, x - left, y - top, stroke, ink)
        for index, line in enumerate(setting.lines)
    ]
    face = setting.face
    return _pixels(nodes, width, height, face.families, face.lang), left, top


def _line_node(
    setting: Setting, line: Line, index: int, x: float, y: float, stroke: float, ink: str
) -> NodeTree:
    leading = setting.leading * setting.size
    style: dict[str, Any] = {
        "position": "absolute",
        "left": x + setting.offset(line),
        "top": y + index * leading - setting.face.sink * setting.size,
        "fontSize": setting.size,
        "fontWeight": setting.face.weight,
        "lineHeight": setting.leading,
        "letterSpacing": setting.face.tracking * setting.size,
        "whiteSpace": "nowrap",
        "color": ink,
    }
    if stroke:
        style |= {
            "WebkitTextStrokeWidth": stroke,
            "WebkitTextStrokeColor": ink,
            "strokeLinejoin": "round",
        }
    return text_node(
        line.text, style=style, dir="rtl" if line.rtl else "ltr", lang=setting.face.lang
    )


def _pixels(
    nodes: Sequence[NodeTree], width: int, height: int, families: tuple[str, ...], lang: str
) -> NDArray[np.uint8]:
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
