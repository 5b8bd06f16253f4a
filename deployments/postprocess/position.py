"""Where there is room: what a picture loses where words cover it, and where they cost least."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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
_SHARE = {"start": 0.0, "center": 0.5, "end": 1.0}  # of the room beside a stack, at its left
_WORST_LAYER = 0.8  # one line across a face is worse than its share of the area says
_ALIKE = 1e-9  # costs that differ by no more are equal, rounded apart


@dataclass(frozen=True, slots=True, eq=False)
class Stacks:
    """Stacks of layers to choose from, in pixels from each one's own origin; float64.

    x: (layers, stacks, columns), since alignment may depend on the column that a stack stands in.
    y, width, height: (layers, stacks). blame: (stacks,), what each costs wherever it stands.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    width: NDArray[np.float64]
    height: NDArray[np.float64]
    blame: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spot:
    """The number of a stack, its offset in pixels, the column it belongs to, and what it costs
    there: what is lost (0 is nothing) and its blame."""

    stack: int
    x: float
    y: float
    column: str
    cost: float


class CostMap:
    """What covering each part of a canvas costs.

    values: float32 (rows, columns), about 0 (plain) to 1.2 (the subject). All rectangles are in
    pixels of the canvas. small: the picture that it was made of, uint8 (rows, columns, 3).
    """

    def __init__(
        self, values: NDArray[np.float32], small: NDArray[np.uint8], width: int, height: int
    ) -> None:
        self.rows, self.columns = values.shape
        self.width, self.height = width, height
        self.small = small
        self._cost = cv2.integral(values, sdepth=cv2.CV_64F).ravel()

    def mean(self, rect: Rect) -> float:
        x, y, width, height = np.array([[rect.x], [rect.y], [rect.width], [rect.height]])
        return float(self._means(x[:, None], y[:, None], width, height).item())

    def best(
        self,
        stacks: Stacks,
        columns: Sequence[str],
        area: Rect,
        forbidden: Sequence[Rect],
        rows: tuple[float, ...],
    ) -> Spot | None:
        """Which of `stacks` to put where inside `area`; None where there is no place for any.

        columns: any of start, center and end; rows: heights from 0 (top) to 1 (bottom). Nothing
        may overlap `forbidden`. The first of equally good places wins, stack by stack and column
        by column, so the answer is a function of the arguments alone.
        """
        x, y, width, height = stacks.x, stacks.y, stacks.width, stacks.height
        room_x = area.width - (x + width[..., None]).max(axis=0)
        room_y = area.height - (y + height).max(axis=0)
        xs = area.x + room_x * [_SHARE[column] for column in columns]
        ys = area.y + room_y[:, None] * rows
        left, top = x + xs, y[..., None] + ys
        means = self._means(left, top, width, height)
        weights = width * height
        weights /= weights.sum(axis=0)
        cost = (means * weights[..., None, None]).sum(axis=0) + _WORST_LAYER * means.max(axis=0)
        for other in forbidden:
            hit_x = (left < other.right) & (left + width[..., None] > other.x)
            hit_y = (top < other.bottom) & (top + height[..., None] > other.y)
            cost[(hit_x[..., None] & hit_y[:, :, None]).any(axis=0)] = np.inf
        cost += _off_rhythm(rows) + stacks.blame[:, None, None]
        cost[(room_x < 0) | (room_y < 0)[:, None]] = np.inf
        if not np.isfinite(least := cost.min()):
            return None
        place = int((cost <= least + _ALIKE).argmax())
        stack, column, row = (int(at) for at in np.unravel_index(place, cost.shape))
        return Spot(
            stack,
            float(xs[stack, column]),
            float(ys[stack, row]),
            columns[column],
            float(cost[stack, column, row]),
        )

    def _means(
        self,
        left: NDArray[np.float64],
        top: NDArray[np.float64],
        width: NDArray[np.float64],
        height: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Mean cost (layers, stacks, columns, rows) of layers at left (layers, stacks, columns) and
        top (layers, stacks, rows), of width and height (layers, stacks), on whole cells."""
        first, last = _cells(left, width[..., None], self.columns / self.width, self.columns)
        upper, lower = _cells(top, height[..., None], self.rows / self.height, self.rows)
        first, last = first[..., None], last[..., None]
        upper, lower = upper[:, :, None], lower[:, :, None]
        upper_row, lower_row = upper * (self.columns + 1), lower * (self.columns + 1)
        total = self._cost
        sums = total.take(lower_row + last) - total.take(upper_row + last)
        sums += total.take(upper_row + first) - total.take(lower_row + first)
        return np.asarray(sums / ((lower - upper) * (last - first)))


@lru_cache
def _off_rhythm(rows: tuple[float, ...]) -> NDArray[np.float64]:
    """What each of `rows` costs, (rows,)."""
    away = np.abs(np.subtract.outer(rows, _RHYTHM))
    return np.asarray(_OFF_RHYTHM * away.min(axis=1))


def cost_map(picture: NDArray[np.uint8], avoid: Sequence[Rect] = ()) -> CostMap:
    """The cost map of `picture`, uint8 (H, W, 3), dearer in the boxes of `avoid`."""
    height, width = picture.shape[:2]
    small = shrink(picture, *_map_size(width, height))
    values = _saliency(small)
    rows, columns = values.shape
    values += _CENTRE * _centre_bias(rows, columns)
    for rect in avoid:
        left, right = _cells(np.array([rect.x]), rect.width, columns / width, columns)
        top, bottom = _cells(np.array([rect.y]), rect.height, rows / height, rows)
        values[top[0] : bottom[0], left[0] : right[0]] += _AVOID
    return CostMap(values, small, width, height)


def _map_size(width: int, height: int) -> tuple[int, int]:
    """(columns, rows) of the map of a canvas."""
    scale = _LONG_SIDE / max(height, width)
    return max(8, round(width * scale)), max(8, round(height * scale))


def _saliency(small: NDArray[np.uint8]) -> NDArray[np.float32]:
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


def _medians(strip: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The median colours (4, 3) of the four pieces of a strip, uint8 (depth, length, 3)."""
    depth, length = strip.shape[0], strip.shape[1] // 4
    pieces = strip[:, : 4 * length].reshape(depth, 4, length, 3).transpose(1, 3, 0, 2)
    levels = pieces.reshape(4, 3, depth * length)
    middle = levels.shape[2] // 2
    return np.partition(levels, middle, axis=2)[..., middle].astype(np.float32)


def shrink(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """`picture`, uint8 (H, W, 3), averaged down to (height, width, 3); halved while it can be,
    since that is several times as fast as one step."""
    while picture.shape[0] >= 2 * height and picture.shape[1] >= 2 * width:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(
        cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8
    )


def _centre_bias(rows: int, columns: int) -> NDArray[np.float32]:
    y = (np.arange(rows, dtype=np.float32) + 0.5) / rows - 0.45
    x = (np.arange(columns, dtype=np.float32) + 0.5) / columns - 0.5
    return np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * 0.2**2))


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


def _cells(
    starts: NDArray[np.float64],
    length: NDArray[np.float64] | float,
    cells_per_pixel: float,
    count: int,
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
    height, width = picture.shape[:2]
    values = _saliency(shrink(picture, *_map_size(width, height)))
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
