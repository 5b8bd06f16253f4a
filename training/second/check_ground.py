"""Read a picture's ground back: its kind and colours. Medians of its rim, nothing is learnt."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from training.second.catalogue import CELL, COLOURS, GROUNDS, GroundKind
from training.second.grounds import EDGE, SKIRTING, draw_ground
from training.second.scene import Ground, horizon

RIM = 16  # pixels
CLEAR = 24  # pixels kept from where two colours meet
BAND = 48  # pixels before a table's front edge
TRUNCATED = 0.15  # a difference larger than this is an item's, not the ground's
STRIDE = 4  # pixels


def nearest_colour(rgb: np.ndarray) -> str:
    """The named colour closest to (3,) values in 0..1."""
    return min(
        COLOURS, key=lambda name: float(np.sum((np.asarray(COLOURS[name]) / 255 - rgb) ** 2))
    )


def _named(picture: np.ndarray, where: np.ndarray) -> str:
    """The colour of most of the pixels chosen."""
    return nearest_colour(np.median(picture[where], axis=0))


def _rim(height: int, width: int) -> np.ndarray:
    """True within RIM pixels of the picture's edge."""
    rim = np.ones((height, width), bool)
    rim[RIM:-RIM, RIM:-RIM] = False
    return rim


def _regions(kind: GroundKind, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Where the first, and the second colour of a kind of ground can be read."""
    rim = _rim(height, width)
    y, x = np.mgrid[:height, :width]
    stage = horizon(height)
    wall = rim & (y < stage - SKIRTING - RIM)
    match kind:
        case "two-tone":
            beyond = x + y - (width + height) / 2
            return rim & (beyond < -CLEAR), rim & (beyond > CLEAR)
        case "gradient":
            return y < RIM, y >= height - RIM
        case "table":
            front = height - EDGE
            top = (y >= front - BAND) & (y < front) & ((x < CELL) | (x >= width - CELL))
            return top, wall
        case "floor":
            return y >= height - RIM, wall
    return (rim,)


def _candidates(picture: np.ndarray) -> Iterator[Ground]:
    """The best ground of each kind."""
    for kind in GROUNDS:
        regions = _regions(kind, *picture.shape[:2])
        colours = [_named(picture, where) for where in regions]
        if len(colours) == 1 or colours[0] != colours[1]:
            yield Ground(kind, colours[0], colours[1] if len(colours) == 2 else None)


def read_ground(picture: np.ndarray) -> Ground:
    """The ground that most of a float32 (height, width, 3) picture in 0..1 agrees with."""

    def disagreement(ground: Ground) -> float:
        drawn = draw_ground(ground, picture.shape[1], picture.shape[0])
        difference = np.abs(picture - drawn)[::STRIDE, ::STRIDE]
        return float(difference.clip(max=TRUNCATED).mean())

    return min(_candidates(picture), key=disagreement)
