"""Where there is room: what a picture loses where words cover it, and where they cost least."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.canvas.saliency import map_size, saliency, shrink

# Of the room beside what stands in a column, how much lies at its left.
COLUMN_SHARES = {"start": 0.0, "center": 0.5, "end": 1.0}
_CENTRE = 0.25  # photographs put their subject a little above the middle
_AVOID = 0.8  # what an avoided box adds, on a scale where a subject costs about 0.7
_RHYTHM = (0, 1 / 3, 1 / 2, 2 / 3, 1)  # where a stack stands well in the free height
_OFF_RHYTHM = 0.2  # a sixth of the way off the ends, the thirds or the middle costs 0.033
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
        xs = area.x + room_x * [COLUMN_SHARES[column] for column in columns]
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


def map_costs(picture: NDArray[np.uint8], avoid: Sequence[Rect] = ()) -> CostMap:
    """The cost map of `picture`, uint8 (H, W, 3), dearer in the boxes of `avoid`."""
    height, width = picture.shape[:2]
    small = shrink(picture, *map_size(width, height))
    values = saliency(small)
    rows, columns = values.shape
    values += _CENTRE * _centre_bias(rows, columns)
    for rect in avoid:
        left, right = _cells(np.array([rect.x]), rect.width, columns / width, columns)
        top, bottom = _cells(np.array([rect.y]), rect.height, rows / height, rows)
        values[top[0] : bottom[0], left[0] : right[0]] += _AVOID
    return CostMap(values, small, width, height)


def _centre_bias(rows: int, columns: int) -> NDArray[np.float32]:
    y = (np.arange(rows, dtype=np.float32) + 0.5) / rows - 0.45
    x = (np.arange(columns, dtype=np.float32) + 0.5) / columns - 0.5
    return np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * 0.2**2))


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
