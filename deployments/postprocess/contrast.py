"""How legible words are: the WCAG 2.x contrast ratio a pixel, its 10th percentile, and its cure.

Mean contrast misleads (a mean of 4.5 can hide letters on 3.1), so the percentile decides.
"""

import math
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.uint8, np.intp)
Colour = tuple[int, int, int]
Colours = Colour | NDArray[np.uint8]  # one for all pixels, or one a pixel: uint8 (..., 3)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (17, 17, 17)
_PERCENTILE = 10
_MAX_SAMPLES = 3_000
_WIDE = 4  # pixels of radius

_LEVELS = np.arange(256) / 255.0
# WCAG 2.x, "relative luminance": sRGB's transfer function, exact for 8-bit values.
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
_SHARES = np.array([[0.2126, 0.7152, 0.0722]])
_TABLE = np.ascontiguousarray((_LINEAR[:, None] * _SHARES)[None], np.float32)
_ADDED = np.ones((1, 3), np.float32)


def luminance(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Relative luminance 0 to 1 of sRGB pixels, uint8 (..., 3)."""
    # Three calls in all: where threads take turns, many short ones cost more than their work.
    parts = cv2.LUT(pixels.reshape(1, -1, 3), _TABLE)
    light = np.asarray(cv2.transform(parts, _ADDED), np.float32)
    return light.reshape(pixels.shape[:-1])


def ratio(one: NDArray[np.float32], other: NDArray[np.float32] | float) -> NDArray[np.float32]:
    """WCAG contrast ratio, 1 to 21, of two luminances."""
    lighter, darker = np.maximum(one, other), np.minimum(one, other)
    return np.asarray((lighter + 0.05) / (darker + 0.05), np.float32)


def p10(ground: NDArray[np.uint8], ink: Colours) -> float:
    """10th percentile of the ratio between `ink` and ground pixels, uint8 (n, 3) with n > 0."""
    return _tenth(luminance(ground), _of(ink))


def between(one: Colour, other: Colour) -> float:
    """The ratio of two plain colours."""
    darker, lighter = sorted((brightness(one), brightness(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _of(colour: Colours) -> NDArray[np.float32] | float:
    if isinstance(colour, np.ndarray):
        return luminance(colour)
    return float(sum(_TABLE[0, level, channel] for channel, level in enumerate(colour)))


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


def brightness(colour: Colour) -> float:
    """The relative luminance of one colour, 0 to 1."""
    return float(_of(colour))


def neighbourhood(coverage: NDArray[np.uint8], radius: int) -> NDArray[np.bool_]:
    """Where a reader needs contrast: under the glyphs and `radius` pixels around them.

    coverage: uint8 (h, w), 255 where a glyph covers the pixel wholly. A wide neighbourhood is
    found at half the size, so its border may be a pixel off.
    """
    if radius < _WIDE:
        return grow(coverage, radius) >= 128
    height, width = coverage.shape
    near = (grow(halve(coverage), radius / 2) >= 128).astype(np.uint8)
    doubled = cv2.resize(near, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    return doubled[:height, :width].astype(np.bool_)


def grow(mask: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    """`mask`, uint8 (h, w), spread by a disc of `radius` pixels."""
    return np.asarray(cv2.dilate(mask, _disc(radius)), np.uint8)


def padded(mask: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    """`mask`, uint8 (h, w), with so many empty pixels more on each side."""
    border = (pixels, pixels, pixels, pixels)
    return np.asarray(cv2.copyMakeBorder(mask, *border, cv2.BORDER_CONSTANT), np.uint8)


def halve(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`mask`, uint8 (h, w), at half its size, an odd last row or column filled up with 0."""
    height, width = mask.shape
    even = cv2.copyMakeBorder(mask, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT)
    size = (-(-width // 2), -(-height // 2))
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8)


@lru_cache(maxsize=256)
def _disc(radius: float) -> NDArray[np.uint8]:
    reach = np.arange(-int(radius), int(radius) + 1)
    return (np.hypot(reach[:, None], reach) <= radius).astype(np.uint8)


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


def _share(under: float, over: float, target: float) -> float:
    """How far from the one ratio to the other `target` lies, as alphas go.

    A ratio's inverse is the ground's luminance, whose root goes nearly as the ground's levels.
    """
    first, last, goal = (1 / math.sqrt(one) for one in (under, over, target))
    return (first - goal) / max(first - last, 1e-9)


def blend(
    ground: NDArray[np.uint8], mask: NDArray[np.uint8], colour: Colours, alpha: float
) -> NDArray[np.uint8]:
    """`colour` over `ground`, uint8 (h, w, 3), through `mask`, uint8 (h, w), times `alpha`.

    One colour, or one a pixel: uint8 (h, w, 3). Rounds each part to nearest, so that a value may
    be one level off; full cover is exact.
    """
    height, width = mask.shape
    cover = cv2.cvtColor(cv2.convertScaleAbs(mask, alpha=alpha), cv2.COLOR_GRAY2RGB)
    if isinstance(colour, np.ndarray):
        paint = colour
    else:
        pixel = np.array([[colour]], np.uint8)
        plain = cv2.copyMakeBorder(pixel, 0, height - 1, 0, width - 1, cv2.BORDER_REPLICATE)
        paint = np.asarray(plain, np.uint8)
    laid = cv2.multiply(paint, cover, scale=1 / 255)
    kept = cv2.multiply(ground, cv2.bitwise_not(cover), scale=1 / 255)
    return np.asarray(cv2.add(laid, kept), np.uint8)


def blend_row(
    ground: NDArray[np.uint8], mask: NDArray[np.uint8], colour: Colours, alpha: float
) -> NDArray[np.uint8]:
    """As `blend`, over pixels in a row: ground and colours uint8 (n, 3), mask uint8 (n,)."""
    paint = colour[:, None] if isinstance(colour, np.ndarray) else colour
    return blend(ground[:, None], mask[:, None], paint, alpha)[:, 0]


def parse(colour: str) -> Colour:
    """(r, g, b) of "#rrggbb"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def to_hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
