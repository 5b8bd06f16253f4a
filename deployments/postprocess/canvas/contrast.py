"""How legible words are: the WCAG 2.x contrast ratio a pixel, its 10th percentile, and its cure.

Mean contrast misleads (a mean of 4.5 can hide letters on 3.1), so the percentile decides.
"""

import math
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.schema import LUMINANCE, Colour, Colours, brightness

_PERCENTILE = 10
_MAX_SAMPLES = 3_000
_ADDED = np.ones((1, 3), np.float32)
Number = TypeVar("Number", np.uint8, np.intp)


def luminance(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Relative luminance 0 to 1 of sRGB pixels, uint8 (..., 3)."""
    # Three calls in all: where threads take turns, many short ones cost more than their work.
    parts = cv2.LUT(pixels.reshape(1, -1, 3), LUMINANCE)
    light = np.asarray(cv2.transform(parts, _ADDED), np.float32)
    return light.reshape(pixels.shape[:-1])


def ratio(one: NDArray[np.float32], other: NDArray[np.float32] | float) -> NDArray[np.float32]:
    """WCAG contrast ratio, 1 to 21, of two luminances."""
    lighter, darker = np.maximum(one, other), np.minimum(one, other)
    return np.asarray((lighter + 0.05) / (darker + 0.05), np.float32)


def p10(ground: NDArray[np.uint8], ink: Colours) -> float:
    """10th percentile of the ratio between `ink` and ground pixels, uint8 (n, 3) with n > 0."""
    return _tenth(luminance(ground), _of(ink))


def sample(pixels: NDArray[Number]) -> NDArray[Number]:
    """At most 3,000 of `pixels` (n, ...), evenly spaced: enough for a percentile."""
    return pixels[:: max(1, -(-len(pixels) // _MAX_SAMPLES))]


def choose_ink(ground: NDArray[np.uint8], light: Colour, dark: Colour, target: float) -> Colour:
    """The light or the dark ink, whichever reads better on `ground` (n, 3).

    Dark ink must be clearly better; where neither reaches `target` and a backing will be needed,
    twice as good, since light words on a darkened picture look better than the reverse.
    """
    lightness = luminance(ground)
    light_p10, dark_p10 = (_tenth(lightness, brightness(ink)) for ink in (light, dark))
    advantage = 1.15 if dark_p10 >= target else 2.0
    return dark if dark_p10 > advantage * light_p10 else light


def least_alpha(
    ground: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    colour: Colours,
    ink: Colours,
    target: float,
    limit: float = 1.0,
    already: float = 0.0,
) -> float | None:
    """The least alpha in (0, limit] of `colour` painted through `mask` that gives p10 >= target.

    ground: uint8 (n, 3); mask: uint8 (n,), 255 where the paint is full. In steps of 1/255; None
    where even `limit` falls short. `already`: an alpha that will be laid in any case, which is
    the answer where it suffices.
    """
    base = ground[None].astype(np.float32)
    shift = (np.asarray(colour, np.float32) - base) * (mask[:, None].astype(np.float32) / 255**2)
    words = _of(ink)

    def reached(level: int) -> float:
        painted = cv2.addWeighted(shift, level, base, 1.0, 0.0, dtype=cv2.CV_8U)
        return _tenth(luminance(np.asarray(painted, np.uint8))[0], words)

    low, high = round(255 * already), int(255 * limit)
    under = reached(low)
    if under >= target:
        return low / 255
    over = reached(high) if high > low else under
    if over < target:
        return None
    turn = 0
    while high - low > 1:
        # Where a line between both would reach it; every third turn half way, which cannot crawl.
        turn += 1
        share = 0.5 if turn % 3 == 0 else _share(under, over, target)
        middle = min(max(low + math.ceil(share * (high - low)), low + 1), high - 1)
        here = reached(middle)
        if here >= target:
            high, over = middle, here
        else:
            low, under = middle, here
    return high / 255


def _of(colour: Colours) -> NDArray[np.float32] | float:
    if isinstance(colour, np.ndarray):
        return luminance(colour)
    return brightness(colour)


def _tenth(light: NDArray[np.float32], ink: NDArray[np.float32] | float) -> float:
    """10th percentile of the ratio, interpolated as np.percentile does, at part of its cost."""
    last = len(light) - 1
    place = last * _PERCENTILE / 100
    low, high = int(place), min(int(place) + 1, last)
    ordered = np.partition(light, (last - high, last - low, last))
    if isinstance(ink, float) and ink >= ordered[last]:
        # The least ratios are those of the lightest ground: no need to form them all.
        first, second = ((ink + 0.05) / (float(ordered[last - i]) + 0.05) for i in (low, high))
    else:
        first, second = np.partition(ratio(light, ink), (low, high))[[low, high]].tolist()
    return first + (second - first) * (place - low)


def _share(under: float, over: float, target: float) -> float:
    """How far from the one ratio to the other `target` lies, as alphas go.

    A ratio's inverse is the ground's luminance, whose root goes nearly as the ground's levels.
    """
    first, last, goal = (1 / math.sqrt(one) for one in (under, over, target))
    return (first - goal) / max(first - last, 1e-9)
