"""Whether a cut-out looks like one thing: whole, of some size, its outline where edges are."""

import cv2
import numpy as np
from numpy.typing import NDArray

_WHOLE = 0.4  # of the subject, that its largest piece is at least
_LEAST, _MOST = 0.02, 0.85  # of the picture, that a subject usually takes
_STEP = 4.0  # levels a pixel, from which an edge is one
_AGREES = 0.7  # of the outline, that lies on such edges at least


def doubt(picture: NDArray[np.uint8], inside: NDArray[np.bool_]) -> str | None:
    """Why `inside`, (H, W) and not empty, is hardly the subject of `picture`, uint8 (H, W, 3);
    None where nothing speaks against it."""
    _, _, facts, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    share = float(inside.mean())
    sides = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
    if facts[1:, cv2.CC_STAT_AREA].max() < _WHOLE * inside.sum():
        return "what stands out is in many pieces"
    if not _LEAST <= share <= _MOST:
        return f"what stands out takes {share:.0%} of the picture"
    if all(side.any() for side in sides):
        return "what stands out touches all four sides"
    if _agreement(picture, inside) < _AGREES:
        return "its outline is faint"
    return None


def _agreement(picture: NDArray[np.uint8], inside: NDArray[np.bool_]) -> float:
    """The share of the outline of `inside`, off the picture's sides, that lies on its edges."""
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float32)
    steps = [np.abs(cv2.Sobel(smooth, cv2.CV_32F, *way)).max(axis=-1) for way in ((1, 0), (0, 1))]
    near = np.ones((3, 3), np.uint8)
    strongest = cv2.dilate(np.hypot(*steps) / 8, near)  # Sobel gives 8 for a level a pixel
    outline = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_GRADIENT, near) > 0
    outline[:2] = outline[-2:] = outline[:, :2] = outline[:, -2:] = False
    return float((strongest[outline] >= _STEP).mean()) if outline.any() else 1.0
