"""Draw a scene: the ground, then its items from the back to the front."""

from __future__ import annotations

import numpy as np

from training.second.catalogue import CELL
from training.second.grounds import draw_ground
from training.second.scene import Scene, boxes
from training.second.sprites import sprite


def lay(picture: np.ndarray, drawn: np.ndarray, x: int, y: int) -> None:
    """Lay a premultiplied sprite (side, side, 4) on float (height, width, 3) at pixel (x, y)."""
    height, width = picture.shape[:2]
    left, top = max(0, x), max(0, y)
    right, bottom = min(width, x + drawn.shape[1]), min(height, y + drawn.shape[0])
    part = drawn[top - y : bottom - y, left - x : right - x]
    target = picture[top:bottom, left:right]
    target *= 1 - part[..., 3:]
    target += part[..., :3]


def render(scene: Scene, shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Draw a scene: uint8 (height, width, 3), sRGB.

    `shift` moves everything that stands on the ground by (x, y) pixels, clipped at the edges.
    """
    picture = draw_ground(scene.ground, scene.width, scene.height)
    for item, box in zip(scene.items, boxes(scene), strict=True):
        x, y = box.column * CELL + shift[0], box.row * CELL + shift[1]
        lay(picture, sprite(item, box.cells), x, y)
    drawing: np.ndarray = np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
    return drawing
