"""Which part of a canvas is the picture's, and which is left empty for words."""

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import SIDES, Canvas, Rect, is_plain
from deployments.postprocess.design import find_template
from deployments.postprocess.placing.arrange import safe_area
from deployments.postprocess.schema import Box, OverlaySpec, Side, TextLayer
from deployments.postprocess.typesetting import text

_UNDER = 0.05  # of the short side, that a picture reaches under a panel: its own end is soft


def window(
    picture: NDArray[np.uint8], spec: OverlaySpec, width: int, height: int, clear: int
) -> Rect | None:
    """The window in pixels of a canvas of width x height; None where the picture takes it all.

    The template's own, if any, for a picture on plain ground, which can be continued unseen;
    otherwise, beside a solid panel, all that the panel leaves. clear: pixels that the placement
    keeps free at top and bottom. Raises InvalidValue for an unknown template.
    """
    if spec.template is None:
        return None
    variant = find_template(spec.template).variants_for(width, height)[0]
    if _is_rtl(spec):
        variant = variant.mirrored()
    canvas = Rect(0, 0, width, height)
    own = variant.window_on(canvas)
    if own is not None and is_plain(picture, SIDES):
        return own
    panel = variant.hidden(safe_area(width, height, spec, clear), width, height)
    return _beside(panel, canvas) if panel is not None else None


def on(canvas: Canvas, space: Side | Box | None) -> Rect | None:
    """The copy space in pixels of the canvas; of no area where it was cut away.

    A side is that half of the picture, and what the canvas has beyond it.
    """
    rows, columns = canvas.pixels.shape[:2]
    if space is None:
        return None
    if isinstance(space, Box):
        return canvas.from_picture(space.shares)
    picture = canvas.picture
    middle_x = min(max(picture.x + picture.width / 2, 0.0), columns)
    middle_y = min(max(picture.y + picture.height / 2, 0.0), rows)
    halves = {
        "left": Rect(0, 0, middle_x, rows),
        "right": Rect(middle_x, 0, columns - middle_x, rows),
        "top": Rect(0, 0, columns, middle_y),
        "bottom": Rect(0, middle_y, columns, rows - middle_y),
    }
    return halves[space]


def around(space: Rect | None, canvas: Canvas) -> list[Rect]:
    """All of the canvas but `space`, in boxes that do not overlap; nothing of no space."""
    rows, columns = canvas.pixels.shape[:2]
    if space is None or space.area == 0:
        return []
    boxes = [
        Rect(0, 0, columns, space.y),
        Rect(0, space.bottom, columns, rows - space.bottom),
        Rect(0, space.y, space.x, space.height),
        Rect(space.right, space.y, columns - space.right, space.height),
    ]
    return [box for box in boxes if box.width >= 1 and box.height >= 1]


def _beside(panel: Rect, canvas: Rect) -> Rect:
    """The largest part of `canvas` at one side of `panel`, and a little beneath it."""
    inner = panel.grow(-_UNDER * min(canvas.width, canvas.height))
    parts = (
        Rect(0, 0, canvas.width, inner.y),
        Rect(0, 0, inner.x, canvas.height),
        Rect(0, inner.bottom, canvas.width, canvas.height - inner.bottom),
        Rect(inner.right, 0, canvas.width - inner.right, canvas.height),
    )
    return max(parts, key=lambda part: part.area)


def _is_rtl(spec: OverlaySpec) -> bool:
    words = [layer for layer in spec.layers if isinstance(layer, TextLayer)]
    if not words:
        return False
    first = next((layer for layer in words if layer.role == "headline"), words[0])
    paragraphs = text.prepare(first.words, first.lang).paragraphs
    return bool(paragraphs) and paragraphs[0].rtl
