"""The part of a placement's canvas that a template leaves to the picture's subject."""

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess import text
from deployments.postprocess.framing import SIDES, is_plain
from deployments.postprocess.geometry import Rect
from deployments.postprocess.spec import OverlaySpec
from deployments.postprocess.template import find_template


def window(
    picture: NDArray[np.uint8], spec: OverlaySpec, width: int, height: int
) -> Rect | None:
    """The window in pixels of a canvas of width x height; None where the picture takes it all.

    A photograph is framed for the window alone only where a panel hides what lies beside it; a
    picture on plain ground, which can be continued unseen, always. Raises InvalidValue for an
    unknown template.
    """
    if spec.template is None:
        return None
    layout = find_template(spec.template).layouts_for(width, height)[0]
    if not (layout.hides or is_plain(picture, SIDES)):
        return None
    return (layout.mirrored() if _is_rtl(spec) else layout).window_on(width, height)


def _is_rtl(spec: OverlaySpec) -> bool:
    headlines = [layer for layer in spec.layers if layer.role == "headline"]
    first = (headlines or spec.layers)[0]
    paragraphs = text.prepare(first.text, first.lang).paragraphs
    return bool(paragraphs) and paragraphs[0].rtl
