"""Where a picture has its subject: edges, spectral residual, and unlikeness to its border."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas.geometry import Rect

_EDGES, _SPECTRAL, _COLOUR = 0.4, 0.2, 0.6  # weights, measured on synthetic scenes with masks
_LONG_SIDE = 160  # cells of the map along the canvas's long side


def map_size(width: int, height: int) -> tuple[int, int]:
    """(columns, rows) of the map of a canvas."""
    scale = _LONG_SIDE / max(height, width)
    return max(8, round(width * scale)), max(8, round(height * scale))


def saliency(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much each pixel of a small picture, uint8 (rows, columns, 3), draws the eye: float32."""
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    values = _EDGES * _edges(grey) + _SPECTRAL * _spectral_residual(grey) + _COLOUR * subject(small)
    return np.asarray(cv2.GaussianBlur(values, (0, 0), 1.0), dtype=np.float32)


def subject(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Distance of each pixel's colour from those at the border: 0 (background) to 1.

    The border is cut into 16 pieces and each gives its median colour in Lab; what is far from
    all of them is not background. 60 units of 8-bit Lab count as wholly different.
    """
    rows, columns = small.shape[:2]
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), np.uint8)
    depth = max(1, min(rows, columns) // 16)
    sides = lab.swapaxes(0, 1)
    strips = (lab[:depth], lab[-depth:], sides[:depth], sides[-depth:])
    colours = np.concatenate([_medians(strip) for strip in strips])
    # The blur leaves nothing that a quarter of the pixels would not show.
    size = (-(-columns // 2), -(-rows // 2))
    half = cv2.resize(cv2.GaussianBlur(lab, (0, 0), 1.3), size, interpolation=cv2.INTER_AREA)
    planes = np.ascontiguousarray(half.reshape(-1, 3).T, np.float32)
    # |p - c|² = |p|² - 2 p·c + |c|², of whole numbers that float32 holds exactly.
    away = (-2 * colours) @ planes + (colours * colours).sum(axis=1, keepdims=True)
    nearest = away.min(axis=0) + (planes * planes).sum(axis=0)
    distance = np.minimum(np.sqrt(nearest) / np.float32(60.0), np.float32(1.0))
    distance = distance.reshape(half.shape[:2])
    return np.asarray(
        cv2.resize(distance, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32
    )


def subject_box(picture: NDArray[np.uint8]) -> Rect | None:
    """The box around what draws the eye; None in a plain picture.

    It holds 98 % of the saliency above a threshold between background and subject along each
    axis, so that specks at the border do not count.
    """
    height, width = picture.shape[:2]
    values = saliency(shrink(picture, *map_size(width, height)))
    rows, columns = values.shape
    strong = np.where(values > 0.15, values, 0.0)
    if float(strong.mean()) <= 1e-3:
        return None
    left, right = _span(strong.sum(axis=0))
    top, bottom = _span(strong.sum(axis=1))
    cell_x, cell_y = width / columns, height / rows
    return Rect(left * cell_x, top * cell_y, (right - left) * cell_x, (bottom - top) * cell_y)


def shrink(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """`picture`, uint8 (H, W, 3), averaged down to (height, width, 3); halved while it can be,
    since that is several times as fast as one step."""
    while picture.shape[0] >= 2 * height and picture.shape[1] >= 2 * width:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(
        cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8
    )


def _medians(strip: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The median colours (4, 3) of the four pieces of a strip, uint8 (depth, length, 3)."""
    depth, length = strip.shape[0], strip.shape[1] // 4
    pieces = strip[:, : 4 * length].reshape(depth, 4, length, 3).transpose(1, 3, 0, 2)
    levels = pieces.reshape(4, 3, depth * length)
    middle = levels.shape[2] // 2
    return np.partition(levels, middle, axis=2)[..., middle].astype(np.float32)


def _edges(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gradient magnitude over its 99th percentile, but at least over a faint edge's (16 levels)."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 0.8)
    magnitude = cv2.magnitude(
        cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    )
    place = round(0.99 * (magnitude.size - 1))
    strong = max(float(np.partition(magnitude, place, axis=None)[place]), 64.0)
    return np.asarray(np.minimum(magnitude * np.float32(1 / strong), 1.0), dtype=np.float32)


def _spectral_residual(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Saliency after Hou and Zhang, "Saliency Detection: A Spectral Residual Approach" (2007)."""
    side = 64
    square = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    if float(square.std()) < 1.0:
        return np.zeros_like(grey)
    spectrum = cv2.dft(square, flags=cv2.DFT_COMPLEX_OUTPUT)
    amplitude = cv2.magnitude(spectrum[..., 0], spectrum[..., 1]) + np.float32(1e-6)
    log_amplitude = cv2.log(amplitude)
    residual = cv2.exp(log_amplitude - cv2.blur(log_amplitude, (3, 3)))
    back = cv2.dft(spectrum * (residual / amplitude)[..., None], flags=cv2.DFT_INVERSE)
    smooth = cv2.GaussianBlur(cv2.magnitude(back[..., 0], back[..., 1]) ** 2, (0, 0), 2.5)
    scaled = (smooth / max(float(smooth.max()), 1e-9)).astype(np.float32)
    return np.asarray(
        cv2.resize(scaled, grey.shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32
    )


def _span(profile: NDArray[np.float32]) -> tuple[int, int]:
    """First and past-the-last index that hold 98 % of `profile`'s sum, 1 % cut at each end."""
    cumulative = np.cumsum(profile) / float(profile.sum())
    first = int(np.searchsorted(cumulative, 0.01))
    return first, math.ceil(int(np.searchsorted(cumulative, 0.99)) + 1)
