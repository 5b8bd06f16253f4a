"""The part of a placement's canvas that a template leaves to the picture."""

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess import text
from deployments.postprocess.framing import SIDES, is_plain
from deployments.postprocess.geometry import Rect
from deployments.postprocess.layout import safe_area
from deployments.postprocess.spec import OverlaySpec, TextLayer
from deployments.postprocess.template import find_template

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
    layout = find_template(spec.template).layouts_for(width, height)[0]
    if _is_rtl(spec):
        layout = layout.mirrored()
    canvas = Rect(0, 0, width, height)
    own = layout.window_on(canvas)
    if own is not None and is_plain(picture, SIDES):
        return own
    panel = layout.hidden(safe_area(width, height, spec, clear), width, height)
    return _beside(panel, canvas) if panel is not None else None


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
