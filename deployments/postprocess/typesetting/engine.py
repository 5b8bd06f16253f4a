"""The only file that knows the rendering engine (pytakumi): its nodes, its faces, its pixels.

The engine is young: it is pinned exactly and held by golden images.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytakumi import NodeTree, Renderer, container, text_node

from deployments.postprocess.canvas import Rect
from deployments.postprocess.typesetting import fonts
from deployments.postprocess.typesetting.direction import MARKS

Node = NodeTree
_CACHE_BYTES = 32 << 20
_MEASURED_AT = 1000  # pixels; advances scale with the size, since nothing is hinted
_FAR = 10 * _MEASURED_AT  # a letter spacing that no difference of shape comes near
_BENGALI = re.compile("[\u0980-\u09ff]")
_known: set[str] = set()  # families that the engine has been given
_learning = Lock()


def warm() -> None:
    """Load every face and shape a letter, so that the first advert does not pay for it.

    Raises ValueError naming the font file that the engine cannot use.
    """
    for face in fonts.faces():
        letter = chr(min(fonts.coverage(face.family) - set(range(0x21)), default=0x21))
        advance(letter, (face.family,), face.weights[0], 0.0, "en")


def advance(text: str, families: tuple[str, ...], weight: int, tracking: float, lang: str) -> float:
    """The width of `text` on one line, in ems; tracking likewise.

    A space is measured between two strokes, since the engine drops those at a line's ends.
    """
    text = MARKS.sub("", text)
    style = {
        "fontSize": _MEASURED_AT,
        "fontWeight": weight,
        "letterSpacing": tracking * _MEASURED_AT,
        "whiteSpace": "pre",
        **_features(text),
    }

    def extent(line: str) -> float:
        tree = _engine(families).measure(
            text_node(line, style=style, lang=lang),
            width=10_000 * _MEASURED_AT,
            font_families=list(families),
            lang=lang,
        )
        return float(sum(run["width"] for run in tree["runs"]))

    if text.isspace():
        return (extent(f"|{text}|") - extent("||")) / _MEASURED_AT
    return extent(text) / _MEASURED_AT


def visual_order(
    pieces: Sequence[str], rtl: bool, families: tuple[str, ...], lang: str
) -> list[tuple[int, str]]:
    """The pieces of one line from left to right, by the Unicode Bidirectional Algorithm over the
    whole of it: (number of the piece, a stretch of it that runs one way).

    The engine tells stretches, not whose they are: a piece's grow when it is spaced out.
    """

    def measured(spaced: int | None) -> list[tuple[str, float]]:
        nodes = [
            text_node(piece, style={"color": f"#{n:06x}", "letterSpacing": (n == spaced) * _FAR})
            for n, piece in enumerate(pieces)
        ]
        style = {"display": "block", "fontSize": _MEASURED_AT, "whiteSpace": "pre"}
        line = container(nodes, style=style, dir="rtl" if rtl else "ltr", lang=lang)
        tree = _engine(families).measure(
            line, width=10_000 * _MEASURED_AT, font_families=list(families), lang=lang
        )
        return [(run["text"], run["width"]) for run in tree["runs"]]

    usual = measured(None)
    owners = [0] * len(usual)
    for number in range(len(pieces)):
        for place, (usually, spaced) in enumerate(zip(usual, measured(number), strict=True)):
            if spaced[1] - usually[1] > _FAR / 2:
                owners[place] = number
    return [(owner, text) for owner, (text, _) in zip(owners, usual, strict=True)]


def words(
    text: str,
    at: tuple[float, float],
    size: float,
    weight: int,
    leading: float,
    tracking: float,
    colour: str,
    stroke: float,
    rtl: bool,
    lang: str,
) -> Node:
    """`text` on one line whose box has its top left corner at pixel `at`.

    size: of the font in pixels. leading: of the line, tracking: both in ems. stroke: the width in
    pixels of a line along the letters' edges, half of it beyond them; 0 for none.
    """
    style: dict[str, Any] = {
        "position": "absolute",
        "left": at[0],
        "top": at[1],
        "fontSize": size,
        "fontWeight": weight,
        "lineHeight": leading,
        "letterSpacing": tracking * size,
        "whiteSpace": "pre",
        "color": colour,
        **_features(text),
    }
    if stroke:
        style |= {
            "WebkitTextStrokeWidth": stroke,
            "WebkitTextStrokeColor": colour,
            "strokeLinejoin": "round",
        }
    return text_node(text, style=style, dir="rtl" if rtl else "ltr", lang=lang)


def box(rect: Rect, radius: float, colour: str) -> Node:
    """A rectangle in pixels with round corners."""
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


def turn(nodes: list[Node], about: Rect, degrees: float) -> list[Node]:
    """`nodes` turned clockwise about the middle of a rectangle."""
    if not degrees:
        return nodes
    x, y = about.x + about.width / 2, about.y + about.height / 2
    style = {
        "position": "absolute", "left": 0, "top": 0, "width": 2 * x, "height": 2 * y,
        "transformOrigin": f"{x}px {y}px", "transform": f"rotate({degrees}deg)",
    }  # fmt: skip
    return [container(nodes, style=style)]


def pixels(
    nodes: Sequence[Node], size: tuple[int, int], families: tuple[str, ...], lang: str
) -> NDArray[np.uint8]:
    """`nodes` drawn on nothing, (width, height) in pixels: uint8 (h, w, 4), straight alpha."""
    width, height = size
    canvas = container(
        nodes, style={"position": "relative", "display": "flex", "width": width, "height": height}
    )
    raw = _engine(families).render(
        canvas, width=width, height=height, format="raw", font_families=list(families), lang=lang
    )
    return np.frombuffer(raw, np.uint8).reshape(height, width, 4)


def _features(text: str) -> dict[str, str]:
    """The engine leaves Bengali's forms below the base (of ra and ba) unless it is asked for them;
    all else it shapes as HarfBuzz does."""
    return {"fontFeatureSettings": '"blwf" 1'} if _BENGALI.search(text) else {}


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
