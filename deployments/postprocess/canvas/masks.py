"""Masks of shapes and letters: grown, padded, halved, softened, and colours blended through them.

A mask is uint8 (h, w), 255 where the shape covers the pixel wholly."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.schema import Colours

_WIDE = 4  # pixels of radius
MAX_BLUR = 48  # pixels; a blur's cost grows with its radius, and softer looks no better
_SOFT_REACH = 6  # pixels of a shadow's reach


@dataclass(frozen=True, slots=True)
class Sprite:
    """Pixels with colours of their own, uint8 (h, w, 4), and where their top left one lies."""

    rgba: NDArray[np.uint8]
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Tile:
    """A mask and the canvas pixel that its top left pixel lies on."""

    mask: NDArray[np.uint8]
    x: int
    y: int


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


def shadow(glyph_tile: Tile, radius: float) -> Tile:
    """A soft mask around glyphs: grown by `radius` pixels (at most MAX_BLUR), then blurred."""
    reach = int(min(max(radius, 1.0), MAX_BLUR))
    pad = 3 * reach
    mask = padded(glyph_tile.mask, pad)
    if reach < _SOFT_REACH:
        soft = cv2.GaussianBlur(grow(mask, reach), (0, 0), 0.6 * reach)
    else:  # nothing fine is in it: half its pixels a side are drawn, then stretched
        small = cv2.GaussianBlur(grow(halve(mask), reach / 2), (0, 0), 0.3 * reach)
        soft = cv2.resize(small, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    return Tile(np.asarray(soft, np.uint8), glyph_tile.x - pad, glyph_tile.y - pad)


def trimmed(tile: Tile) -> Tile:
    """The tile without the empty rows and columns around its shape, if it has any shape."""
    left, top, width, height = cv2.boundingRect(tile.mask)
    if width == 0:
        return tile
    mask = np.ascontiguousarray(tile.mask[top : top + height, left : left + width])
    return Tile(mask, tile.x + left, tile.y + top)


@lru_cache(maxsize=256)
def _disc(radius: float) -> NDArray[np.uint8]:
    reach = np.arange(-int(radius), int(radius) + 1)
    return (np.hypot(reach[:, None], reach) <= radius).astype(np.uint8)
