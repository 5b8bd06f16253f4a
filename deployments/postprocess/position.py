"""Where there is room: what a picture loses where words cover it, and where they cost least."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.geometry import Rect

_EDGES, _SPECTRAL, _COLOUR = 0.4, 0.2, 0.6  # weights, measured on synthetic scenes with masks
_CENTRE = 0.25  # photographs put their subject a little above the middle
_LONG_SIDE = 160  # cells of the map along the canvas's long side
_AVOID = 0.8  # what an avoided box adds, on a scale where a subject costs about 0.7
_RHYTHM = (0, 1 / 3, 1 / 2, 2 / 3, 1)  # where a stack stands well in the free height
_OFF_RHYTHM = 0.2  # a sixth of the way off the ends, the thirds or the middle costs 0.033
_WORST_LAYER = 0.8  # one line across a face is worse than its share of the area says


@dataclass(frozen=True, slots=True)
class Spot:
    """An offset in pixels, what is lost there (0 is nothing), and the column it belongs to."""

    x: float
    y: float
    cost: float
    column: str


class CostMap:
    """What covering each part of a canvas costs.

    values: float32 (rows, columns), about 0 (plain) to 1.2 (the subject). All rectangles are in
    pixels of the canvas.
    """

    def __init__(self, values: NDArray[np.float32], width: int, height: int) -> None:
        self.rows, self.columns = values.shape
        self.width, self.height = width, height
        self._cost = cv2.integral(values.astype(np.float64))

    def mean(self, rect: Rect) -> float:
        return float(self._means(rect, np.zeros(1), np.zeros(1))[0, 0])

    def best(
        self,
        rects: Sequence[Rect],
        area: Rect,
        forbidden: Sequence[Rect],
        columns: Sequence[str],
        rows: Sequence[float],
    ) -> Spot | None:
        """Where to put a stack of `rects` (relative to its own origin) inside `area`.

        `columns` are of start, center, end; `rows` are heights from 0 (top) to 1 (bottom).
        Nothing may overlap `forbidden`. None where there is no place. The first of equally good
        places wins, so the answer is a function of the arguments alone.
        """
        width = max(rect.right for rect in rects)
        height = max(rect.bottom for rect in rects)
        room_x, room_y = area.width - width, area.height - height
        if room_x < 0 or room_y < 0:
            return None
        share = {"start": 0.0, "center": 0.5, "end": 1.0}
        xs = np.array([area.x + room_x * share[column] for column in columns])
        ys = np.array([area.y + room_y * row for row in rows])
        means = np.stack([self._means(rect, xs, ys) for rect in rects])
        weights = np.array([rect.area for rect in rects])
        cost = np.tensordot(weights / weights.sum(), means, 1) + _WORST_LAYER * means.max(axis=0)
        for rect in rects:
            for other in forbidden:
                left, top = rect.x + xs, rect.y + ys
                hit_x = (left < other.right) & (left + rect.width > other.x)
                hit_y = (top < other.bottom) & (top + rect.height > other.y)
                cost[hit_y[:, None] & hit_x[None, :]] = np.inf
        off = np.min([np.abs(np.array(rows) - line) for line in _RHYTHM], axis=0)
        cost += _OFF_RHYTHM * off[:, None]
        row, column = np.unravel_index(int(np.argmin(cost)), cost.shape)
        if not np.isfinite(cost[row, column]):
            return None
        return Spot(
            float(xs[column]), float(ys[row]), float(cost[row, column]), columns[int(column)]
        )

    def _means(
        self, rect: Rect, xs: NDArray[np.float64], ys: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Mean cost (len(ys), len(xs)) of `rect` moved by every x and y, on whole cells."""
        left, right = _cells(rect.x + xs, rect.width, self.columns / self.width, self.columns)
        top, bottom = _cells(rect.y + ys, rect.height, self.rows / self.height, self.rows)
        total = self._cost
        sums = (
            total[np.ix_(bottom, right)]
            - total[np.ix_(top, right)]
            - total[np.ix_(bottom, left)]
            + total[np.ix_(top, left)]
        )
        return np.asarray(sums / np.outer(bottom - top, right - left))


def cost_map(picture: NDArray[np.uint8], avoid: Sequence[Rect] = ()) -> CostMap:
    """The cost map of `picture`, uint8 (H, W, 3), dearer in the boxes of `avoid`."""
    values = saliency(picture)
    height, width = picture.shape[:2]
    rows, columns = values.shape
    values += _CENTRE * _centre_bias(rows, columns)
    for rect in avoid:
        left, right = _cells(np.array([rect.x]), rect.width, columns / width, columns)
        top, bottom = _cells(np.array([rect.y]), rect.height, rows / height, rows)
        values[top[0] : bottom[0], left[0] : right[0]] += _AVOID
    return CostMap(values, width, height)


def saliency(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much each cell draws the eye: float32 (rows, columns), at most `_LONG_SIDE` a side."""
    height, width = picture.shape[:2]
    scale = _LONG_SIDE / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    values = (
        _EDGES * _edges(grey)
        + _SPECTRAL * _spectral_residual(grey)
        + _COLOUR * subject(np.asarray(small, np.uint8))
    )
    return np.asarray(cv2.GaussianBlur(values, (0, 0), 1.0), dtype=np.float32)


def subject(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Distance of each pixel's colour from those at the border: 0 (background) to 1.

    The border is cut into 16 pieces and each gives its median colour in Lab; what is far from
    all of them is not background. 60 units of 8-bit Lab count as wholly different.
    """
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    depth = max(1, min(small.shape[:2]) // 16)
    sides = lab.swapaxes(0, 1)
    strips = (lab[:depth], lab[-depth:], sides[:depth], sides[-depth:])
    medians = [
        np.median(piece.reshape(-1, 3), axis=0)
        for strip in strips
        for piece in np.array_split(strip, 4, axis=1)
    ]
    smooth = cv2.GaussianBlur(lab, (0, 0), 1.5)
    distance = np.min([np.linalg.norm(smooth - median, axis=-1) for median in medians], axis=0)
    return np.asarray(np.clip(distance / 60.0, 0.0, 1.0), dtype=np.float32)


def _centre_bias(rows: int, columns: int) -> NDArray[np.float32]:
    y = (np.arange(rows, dtype=np.float32) + 0.5) / rows - 0.45
    x = (np.arange(columns, dtype=np.float32) + 0.5) / columns - 0.5
    return np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * 0.2**2))


def _edges(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gradient magnitude over its 99th percentile, but at least over a faint edge's (16 levels)."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 0.8)
    magnitude = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    strong = max(float(np.percentile(magnitude, 99)), 64.0)
    return np.asarray(np.minimum(magnitude / strong, 1.0), dtype=np.float32)


def _spectral_residual(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Saliency after Hou and Zhang, "Saliency Detection: A Spectral Residual Approach" (2007)."""
    side = 64
    square = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    if float(square.std()) < 1.0:
        return np.zeros_like(grey)
    spectrum = np.fft.fft2(square)
    log_amplitude = np.log(np.abs(spectrum) + 1e-9)
    residual = log_amplitude - cv2.blur(log_amplitude, (3, 3))
    back = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    smooth = cv2.GaussianBlur(back.astype(np.float32), (0, 0), 2.5)
    scaled = (smooth / max(float(smooth.max()), 1e-9)).astype(np.float32)
    return np.asarray(
        cv2.resize(scaled, grey.shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32
    )


def _cells(
    starts: NDArray[np.float64], length: float, cells_per_pixel: float, count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and past-the-last cell of spans from `starts`, rounded outwards, at least one cell."""
    first = np.clip(np.floor(starts * cells_per_pixel), 0, count - 1).astype(np.intp)
    last = np.ceil((starts + length) * cells_per_pixel - 1e-9)
    return first, np.clip(last, first + 1, count).astype(np.intp)


def subject_box(picture: NDArray[np.uint8]) -> Rect | None:
    """The box around what draws the eye; None in a plain picture.

    It holds 98 % of the saliency above a threshold between background and subject along each
    axis, so that specks at the border do not count.
    """
    values = saliency(picture)
    height, width = picture.shape[:2]
    rows, columns = values.shape
    strong = np.where(values > 0.15, values, 0.0)
    if float(strong.mean()) <= 1e-3:
        return None
    left, right = _span(strong.sum(axis=0))
    top, bottom = _span(strong.sum(axis=1))
    cell_x, cell_y = width / columns, height / rows
    return Rect(left * cell_x, top * cell_y, (right - left) * cell_x, (bottom - top) * cell_y)


def _span(profile: NDArray[np.float32]) -> tuple[int, int]:
    """First and past-the-last index that hold 98 % of `profile`'s sum, 1 % cut at each end."""
    cumulative = np.cumsum(profile) / float(profile.sum())
    first = int(np.searchsorted(cumulative, 0.01))
    return first, math.ceil(int(np.searchsorted(cumulative, 0.99)) + 1)
