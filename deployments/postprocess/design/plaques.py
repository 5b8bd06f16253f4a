"""The shapes that a role's words stand on: how far they reach beyond the words, and their masks."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from deployments.postprocess.canvas import Rect, Tile
from deployments.postprocess.design.roles import Plaque
from deployments.postprocess.typesetting import Setting, drawing

_PADDING = {"pill": (0.95, 0.5), "box": (0.8, 0.48), "lines": (0.34, 0.1)}  # ems
_ROUND_PADDING = {"disc": 0.62, "burst": 0.95}  # ems beyond the words' farthest corner
_CAP_SHARE = 0.72  # of a line box's height that letters fill
_BOX_RADIUS, _LINE_RADIUS = 0.12, 0.1  # ems
_POINTS, _DEPTH = 20, 0.09  # of a burst: points, and how deep its notches are
_SUBPIXEL = 4  # bits that cv2 takes of a fraction of a pixel


def padding(plaque: Plaque, width: float, height: float, size: float) -> tuple[float, float]:
    """Pixels that a plaque adds at each side and above and below words of width x height."""
    if plaque in _ROUND_PADDING:
        reach = math.hypot(width, _CAP_SHARE * height) / 2 + _ROUND_PADDING[plaque] * size
        return reach - width / 2, reach - height / 2
    across, down = _PADDING.get(plaque, (0.0, 0.0))
    return across * size, down * size


def is_block(plaque: Plaque) -> bool:
    """Whether the words stand in the middle of one shape."""
    return plaque in ("pill", "box", "disc", "burst")


def tile(plaque: Plaque, box: Rect, setting: Setting, x: float, y: float) -> Tile:
    """The mask of a plaque that covers `box` before both are turned as `setting` says.

    Words at (x, y). All in pixels of the canvas.
    """
    if plaque == "burst":
        return _burst(box, setting.rotate)
    if plaque == "lines":
        return _lines(box, setting, x, y)
    radius = _BOX_RADIUS * setting.size if plaque == "box" else box.height
    return drawing.turned(box, radius, setting.rotate, box)


def _burst(box: Rect, rotate: float) -> Tile:
    left, top, right, bottom = box.pixels()
    reach = min(box.width, box.height) / 2
    middle = (box.x + box.width / 2 - left, box.y + box.height / 2 - top)
    turns = np.arange(2 * _POINTS) * (math.pi / _POINTS) + math.radians(rotate)
    radii = np.where(np.arange(2 * _POINTS) % 2 == 0, reach, (1 - _DEPTH) * reach)
    points = np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii[:, None] + middle
    mask = np.zeros((bottom - top, right - left), np.uint8)
    fixed = np.round((points - 0.5) * (1 << _SUBPIXEL)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SUBPIXEL)
    return Tile(mask, left, top)


def _lines(box: Rect, setting: Setting, x: float, y: float) -> Tile:
    """Boxes as wide as each line; neighbours meet, since each is a little higher than a line."""
    across, down = x - box.x, y - box.y
    height = setting.leading * setting.size
    radius = _LINE_RADIUS * setting.size
    tiles = []
    for index, line in enumerate(setting.lines):
        if not line.text:
            continue
        left, top = x + setting.offset(line) - across, y + index * height - down
        width = line.width * setting.size + 2 * across
        rect = Rect(left, top, width, height + 2 * down)
        tiles.append(drawing.turned(rect, radius, setting.rotate, box))
    return _together(tiles)


def _together(tiles: Sequence[Tile]) -> Tile:
    left, top = min(tile.x for tile in tiles), min(tile.y for tile in tiles)
    right = max(tile.x + tile.mask.shape[1] for tile in tiles)
    bottom = max(tile.y + tile.mask.shape[0] for tile in tiles)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for tile in tiles:
        rows, columns = tile.mask.shape
        region = mask[tile.y - top :, tile.x - left :][:rows, :columns]
        np.maximum(region, tile.mask, out=region)
    return Tile(mask, left, top)
