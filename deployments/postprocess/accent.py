"""The colours of a button: taken from the picture's subject, so that they belong together."""

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess import contrast
from deployments.postprocess.contrast import Colour
from deployments.postprocess.position import shrink, subject


def pill_colours(
    accent: Colour | None, ground: NDArray[np.uint8], target: float, ink: Colour
) -> tuple[Colour, Colour]:
    """(pill, its ink) for a button: the accent, or else the words' own ink.

    The accent is taken only where it stands out from `ground` (n, 3) by 3:1, which WCAG 2.x asks
    of controls (1.4.11), and carries black or white words at `target`.
    """
    for pill in ([accent] if accent else []) + [ink]:
        words = ink_on(pill)
        if contrast.p10(ground, pill) >= 3.0 and contrast.between(pill, words) >= target:
            return pill, words
    return ink, ink_on(ink)


def ink_on(*pill: Colour) -> Colour:
    """White or black, whichever reads better on all colours of a pill.

    White from 4.5:1 on, since it looks livelier.
    """
    white = min(contrast.between(colour, contrast.WHITE) for colour in pill)
    black = min(contrast.between(colour, contrast.BLACK) for colour in pill)
    return contrast.WHITE if white >= 4.5 or white >= black else contrast.BLACK


def accent_colour(picture: NDArray[np.uint8]) -> Colour | None:
    """A lively colour of the picture's subject; None in a picture without one.

    The hue (36 bins) that holds most of saturation squared times distance from the border's
    colours, made saturated and as bright as white or black words on it allow.
    """
    small = shrink(picture, 96, 96)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.float32)
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    weight = (saturation / 255) ** 2 * (value / 255) * subject(small)
    if float(weight.mean()) < 0.004:
        return None
    bins = (hue / 5).astype(int)
    best = int(np.bincount(bins.ravel(), weights=weight.ravel(), minlength=36).argmax())
    inside = bins == best
    tone = float(np.average(hue[inside], weights=weight[inside]))
    depth = max(165.0, float(np.average(saturation[inside], weights=weight[inside])))
    patches = np.array([[(tone, depth, value)] for value in range(235, 90, -6)], np.uint8)
    for red, green, blue in cv2.cvtColor(patches, cv2.COLOR_HSV2RGB)[:, 0].tolist():
        colour = (red, green, blue)
        if contrast.between(colour, ink_on(colour)) >= 4.6:
            return colour
    return None
