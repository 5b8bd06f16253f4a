"""How legible words are: the WCAG 2.x contrast ratio a pixel, its 10th percentile, and its cure.

Mean contrast misleads (a mean of 4.5 can hide letters on 3.1), so the percentile decides.
"""

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

_LEVELS = np.arange(256) / 255.0
# WCAG 2.x, "relative luminance": sRGB's transfer function, exact for 8-bit values.
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
_RED, _GREEN, _BLUE = (share * _LINEAR for share in (0.2126, 0.7152, 0.0722))


def luminance(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Relative luminance 0 to 1 of sRGB pixels, uint8 (..., 3)."""
    return _luminance(*np.moveaxis(pixels, -1, 0))


def _luminance(
    red: NDArray[np.uint8], green: NDArray[np.uint8], blue: NDArray[np.uint8]
) -> NDArray[np.float64]:
    return np.asarray(_RED.take(red) + _GREEN.take(green) + _BLUE.take(blue))


def ratio(one: NDArray[np.float64], other: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """WCAG contrast ratio, 1 to 21, of two luminances."""
    return (np.maximum(one, other) + 0.05) / (np.minimum(one, other) + 0.05)


def p10(ground: NDArray[np.uint8], ink: Colours) -> float:
    """10th percentile of the ratio between `ink` and ground pixels, uint8 (n, 3) with n > 0."""
    return _tenth(ratio(luminance(ground), _of(ink)))


def between(one: Colour, other: Colour) -> float:
    """The ratio of two plain colours."""
    darker, lighter = sorted((brightness(one), brightness(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _of(colour: Colours) -> NDArray[np.float64] | float:
    if isinstance(colour, np.ndarray):
        return luminance(colour)
    return float(_RED[colour[0]] + _GREEN[colour[1]] + _BLUE[colour[2]])


def _tenth(values: NDArray[np.float64]) -> float:
    """As np.percentile(values, 10) interpolates, at a fraction of its cost."""
    place = (len(values) - 1) * _PERCENTILE / 100
    low = int(place)
    high = min(low + 1, len(values) - 1)
    ordered = np.partition(values, (low, high))
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def brightness(colour: Colour) -> float:
    """The relative luminance of one colour, 0 to 1."""
    return float(_of(colour))


def neighbourhood(coverage: NDArray[np.uint8], radius: int) -> NDArray[np.bool_]:
    """Where a reader needs contrast: under the glyphs and `radius` pixels around them.

    coverage: uint8 (h, w), 255 where a glyph covers the pixel wholly.
    """
    return distance(coverage) <= radius


def distance(coverage: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels from each pixel to the nearest one that is at least half covered, nearly Euclidean."""
    away = cv2.distanceTransform((coverage < 128).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(away, np.float32)


def sample(pixels: NDArray[Number]) -> NDArray[Number]:
    """At most 3,000 of `pixels` (n, ...), evenly spaced: enough for a percentile."""
    return pixels[:: max(1, -(-len(pixels) // _MAX_SAMPLES))]


def choose_ink(ground: NDArray[np.uint8], light: Colour, dark: Colour, target: float) -> Colour:
    """The light or the dark ink, whichever reads better on `ground` (n, 3).

    Dark ink must be clearly better; where neither reaches `target` and a backing will be needed,
    twice as good, since light words on a darkened picture look better than the reverse.
    """
    light_p10, dark_p10 = p10(ground, light), p10(ground, dark)
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
    base = np.ascontiguousarray(ground.T, np.float32)
    paint = np.asarray(colour, np.float32).reshape(-1, 3).T
    shift = (paint - base) * (mask.astype(np.float32) / 255**2)
    base += 0.5
    words = _of(ink)

    def suffices(level: int) -> bool:
        painted = (base + shift * np.float32(level)).astype(np.uint8)
        return _tenth(ratio(_luminance(*painted), words)) >= target

    low, high = round(255 * already), int(255 * limit)
    if suffices(low):
        return low / 255
    if high <= low or not suffices(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if suffices(middle):
            high = middle
        else:
            low = middle
    return high / 255


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
