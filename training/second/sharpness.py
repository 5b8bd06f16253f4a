"""How sharp a picture's edges are: the 10 to 90 % rise, at isolated edges of the vector truth."""

from __future__ import annotations

import numpy as np

REACH = 10.0  # pixels on each side of an edge
STEP = 0.25  # pixels
PLATEAU = 5.0  # pixels from the edge from where both sides must be even in the truth
EVEN = 0.03  # deviation of luminance within a plateau
LEAST_CONTRAST = 0.25  # of luminance 0..1
POINTS = 200  # edge points a picture
LOST = 2 * REACH  # the rise of an edge that is not there
LUMINANCE = np.asarray((0.299, 0.587, 0.114), np.float32)


def _luminance(picture: np.ndarray) -> np.ndarray:
    grey: np.ndarray = picture.astype(np.float32) / 255 @ LUMINANCE
    return grey


def _profiles(grey: np.ndarray, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Luminance along normals through points, bilinear: (n, samples)."""
    offsets = np.arange(-REACH, REACH + STEP / 2, STEP)
    y = points[:, 0, None] + offsets * normals[:, 0, None]
    x = points[:, 1, None] + offsets * normals[:, 1, None]
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    down, right = y - top, x - left
    above = grey[top, left] * (1 - right) + grey[top, left + 1] * right
    below = grey[top + 1, left] * (1 - right) + grey[top + 1, left + 1] * right
    sampled: np.ndarray = above * (1 - down) + below * down
    return sampled


def _edge_points(grey: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) of strong gradient, and the directions in which it rises."""
    gy, gx = np.gradient(grey)
    strength = np.hypot(gy, gx)
    margin = int(REACH) + 2
    inner = np.zeros_like(strength, bool)
    inner[margin:-margin, margin:-margin] = True
    points = np.argwhere((strength > LEAST_CONTRAST / 4) & inner)
    if len(points) > 8 * POINTS:
        points = rng.choice(points, 8 * POINTS, replace=False)
    rising = np.stack([gy, gx], axis=-1)[points[:, 0], points[:, 1]]
    normals = rising / np.linalg.norm(rising, axis=1, keepdims=True)
    return points.astype(float), normals


def _rise(profile: np.ndarray, low: float, high: float) -> float:
    """Pixels from the last tenth below to the first nine tenths above, between two levels."""
    share = (profile - low) / (high - low)
    reached = np.flatnonzero(share >= 0.9)
    if not len(reached):
        return LOST
    before = np.flatnonzero(share[: reached[0]] <= 0.1)
    if not len(before):
        return LOST

    def crossing(index: int, level: float) -> float:
        a, b = share[index], share[index + 1]
        return float(index + (level - a) / max(b - a, 1e-6))

    return (crossing(reached[0] - 1, 0.9) - crossing(before[-1], 0.1)) * STEP


def rises(picture: np.ndarray, truth: np.ndarray, seed: int = 0) -> tuple[list[float], list[float]]:
    """The rises in pixels of a uint8 (height, width, 3) picture and of its truth, at like points.

    An edge that has lost half of its contrast counts as one of LOST pixels.
    """
    grey, drawn = _luminance(truth), _luminance(picture)
    points, normals = _edge_points(grey, np.random.default_rng(seed))
    if not len(points):
        return [], []
    right, seen = _profiles(grey, points, normals), _profiles(drawn, points, normals)
    side = int((REACH - PLATEAU) / STEP)
    of_picture: list[float] = []
    of_truth: list[float] = []
    for true, shown in zip(right, seen, strict=True):
        ends = (true[:side], true[-side:])
        low, high = float(np.median(ends[0])), float(np.median(ends[1]))
        if max(end.std() for end in ends) > EVEN or high - low < LEAST_CONTRAST:
            continue
        dark, light = float(np.median(shown[:side])), float(np.median(shown[-side:]))
        kept = light - dark >= (high - low) / 2
        of_picture.append(_rise(shown, dark, light) if kept else LOST)
        of_truth.append(_rise(true, low, high))
        if len(of_truth) == POINTS:
            break
    return of_picture, of_truth
