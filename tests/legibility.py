"""An advert's contrast from its pixels alone, by none of the code that made it legible.

The words are found by their ink; what lies under them is taken from the nearest pixel that shows;
the WCAG 2.x ratio is formed at every pixel, none left out, and its 10th percentile told.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_INK = 3  # levels from the ink, within which a pixel is wholly covered by a letter
_NEARER = 8  # levels that a pixel comes nearer to the ink where a letter covers part of it
_EDGE = 1.5  # pixels around letters, where a little of them may be left
_FEW = 600  # pixels of letters: too few stand beside fewer for a percentile to be stable


def measured_p10(
    advert: NDArray[np.uint8],
    clean: NDArray[np.uint8],
    box: tuple[int, int, int, int],
    ink: str,
    size: float,
    backed: bool,
) -> float | None:
    """10th percentile of the ratio under and around the words of one layer; None if unseen.

    advert, clean: uint8 (H, W, 3), with and without words. box: left, top, width, height of the
    layer. ink: "#rrggbb". size: of the words, in pixels. backed: whether something lies between
    words and picture, so that no pixel of the ground keeps the picture's own colour.
    """
    reach = max(2, round(0.06 * size))
    left, top = max(0, box[0] - reach), max(0, box[1] - reach)
    cut = np.s_[top : box[1] + box[3] + reach, left : box[0] + box[2] + reach]
    seen, before = advert[cut].astype(int), clean[cut].astype(int)
    colour = np.array([int(ink[i : i + 2], 16) for i in (1, 3, 5)])
    # A backing takes the ground away from the ink: what came nearer to it is part of a letter.
    away, was_away = (np.abs(pixels - colour).max(axis=-1) for pixels in (seen, before))
    letters = away < was_away - _NEARER
    if backed:
        letters |= away <= _INK
    if letters.sum() < _FEW:
        return None
    mixed = _spread(letters, _EDGE)
    if mixed.all():
        return None
    _, nearest = cv2.distanceTransformWithLabels(
        mixed.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    ground = np.zeros((nearest.max() + 1, 3))
    ground[nearest[~mixed]] = seen[~mixed]
    near = _spread(letters, reach)
    light, of_ink = _luminance(ground[nearest[near]]), _luminance(colour)
    ratios = (np.maximum(light, of_ink) + 0.05) / (np.minimum(light, of_ink) + 0.05)
    return float(np.sort(ratios)[math.ceil(len(ratios) / 10) - 1])


def _spread(mask: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) <= pixels


def _luminance(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    level = np.asarray(colour) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])
