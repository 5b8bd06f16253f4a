"""The grounds: plain, two-tone, gradient, tiles, table edge, wall and floor."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from training.second.catalogue import COLOURS
from training.second.scene import Ground, horizon

TILE = 128  # pixels of a tile, two cells
GROUT = 4  # pixels
EDGE = 32  # pixels of a table's front that show
SKIRTING = 20  # pixels
LINE = 3  # pixels of a highlight


def _rgb(name: str) -> np.ndarray:
    return np.asarray(COLOURS[name], np.float32) / 255


def _mixed(colour: np.ndarray, with_: float, share: float) -> np.ndarray:
    """The colour with a share of black (0) or white (1)."""
    mixed: np.ndarray = colour + (with_ - colour) * share
    return mixed


def _two_tone(ground: Ground, width: int, height: int) -> np.ndarray:
    """Cut from the lower left to the upper right at 45 degrees through the middle, soft by 1 px."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    beyond = ((x + y + 1 - (width + height) / 2) / 2**0.5 + 0.5).clip(0, 1)[..., None]
    assert ground.second is not None
    picture: np.ndarray = _rgb(ground.colour) * (1 - beyond) + _rgb(ground.second) * beyond
    return picture


def _gradient(ground: Ground, width: int, height: int) -> np.ndarray:
    assert ground.second is not None
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    column = _rgb(ground.colour) * (1 - share) + _rgb(ground.second) * share
    return np.broadcast_to(column, (height, width, 3)).copy()


def _tiles(ground: Ground, width: int, height: int) -> np.ndarray:
    """Square tiles, every other one a little darker, with light joints."""
    colour = _rgb(ground.colour)
    y = np.arange(height) + TILE - height // 2 % TILE
    x = np.arange(width) + TILE - width // 2 % TILE
    odd = ((y // TILE)[:, None] + (x // TILE)[None]) % 2 == 1
    picture = np.where(odd[..., None], _mixed(colour, 0.0, 0.06), colour).astype(np.float32)
    joint = _mixed(colour, 1.0, 0.55) if colour.mean() < 0.75 else _mixed(colour, 0.0, 0.2)
    half = GROUT // 2
    picture[(y + half) % TILE < GROUT] = joint
    picture[:, (x + half) % TILE < GROUT] = joint
    return picture


def _surface(colour: np.ndarray, rows: int) -> np.ndarray:
    """A horizontal surface, lighter far away: (rows, 1, 3)."""
    share = np.linspace(0.18, 0, rows, dtype=np.float32)[:, None, None]
    far: np.ndarray = colour + (1 - colour) * share
    return far


def _table(ground: Ground, width: int, height: int) -> np.ndarray:
    """A table's top before a wall, and at the bottom of the picture its front edge."""
    assert ground.second is not None
    picture = np.broadcast_to(_rgb(ground.second), (height, width, 3)).copy()
    back, front = horizon(height), height - EDGE
    colour = _rgb(ground.colour)
    picture[back:front] = _surface(colour, front - back)
    picture[front:] = _mixed(colour, 0.0, 0.3)
    picture[front : front + LINE] = _mixed(colour, 1.0, 0.4)
    return picture


def _floor(ground: Ground, width: int, height: int) -> np.ndarray:
    """A floor and a wall with a skirting board."""
    assert ground.second is not None
    wall = _rgb(ground.second)
    picture = np.broadcast_to(wall, (height, width, 3)).copy()
    foot = horizon(height)
    picture[foot:] = _surface(_rgb(ground.colour), height - foot)
    picture[foot - SKIRTING : foot] = _mixed(wall, 1.0, 0.6)
    picture[foot - SKIRTING - LINE : foot - SKIRTING] = _mixed(wall, 0.0, 0.15)
    picture[foot : foot + LINE] = _mixed(_rgb(ground.colour), 0.0, 0.35)
    return picture


@lru_cache(maxsize=64)
def _drawn(ground: Ground, width: int, height: int) -> np.ndarray:
    match ground.kind:
        case "two-tone":
            return _two_tone(ground, width, height)
        case "gradient":
            return _gradient(ground, width, height)
        case "tiles":
            return _tiles(ground, width, height)
        case "table":
            return _table(ground, width, height)
        case "floor":
            return _floor(ground, width, height)
    return np.broadcast_to(_rgb(ground.colour), (height, width, 3)).copy()


def draw_ground(ground: Ground, width: int, height: int) -> np.ndarray:
    """The ground alone: float32 (height, width, 3), sRGB in 0..1."""
    return _drawn(ground, width, height).copy()
