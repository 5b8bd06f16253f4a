"""Frosted glass: the ground under a mask, blurred."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.geometry import Rect
from deployments.postprocess.render import Tile

_SOFTNESS = 0.02  # of the canvas's short side, the blur's standard deviation
_MAX_SIGMA = 32.0  # pixels
_COARSE = 4  # blurred at a fraction of the size, since nothing fine is left


def frost(pixels: NDArray[np.uint8], tile: Tile) -> None:
    """Blur `pixels`, uint8 (H, W, 3), in place where `tile` covers them."""
    height, width = pixels.shape[:2]
    rows, columns = tile.mask.shape
    box = Rect(tile.x, tile.y, columns, rows).clip(Rect(0, 0, width, height))
    if box.area == 0:
        return
    sigma = min(_SOFTNESS * min(height, width), _MAX_SIGMA)
    left, top, right, bottom = box.pixels()
    reach = math.ceil(3 * sigma)
    outer = box.grow(reach).clip(Rect(0, 0, width, height))
    x, y, far_x, far_y = outer.pixels()
    around = pixels[y:far_y, x:far_x]
    small_size = (max(1, around.shape[1] // _COARSE), max(1, around.shape[0] // _COARSE))
    small = cv2.resize(around, small_size, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), max(sigma / _COARSE, 0.5), borderType=cv2.BORDER_REFLECT)
    full = cv2.resize(soft, around.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    mask = tile.mask[top - tile.y : bottom - tile.y, left - tile.x : right - tile.x]
    weight = mask[..., None].astype(np.float32) / 255
    sharp = pixels[top:bottom, left:right].astype(np.float32)
    blurred = full[top - y : bottom - y, left - x : right - x].astype(np.float32)
    pixels[top:bottom, left:right] = (sharp + (blurred - sharp) * weight + 0.5).astype(np.uint8)
