"""Read a picture back and hold it against the scene that was asked for. Nothing is learnt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.second.catalogue import CELL, POSITIONS
from training.second.check_ground import read_ground
from training.second.check_items import Found, find_items
from training.second.grounds import draw_ground
from training.second.scene import Box, Ground, Scene, boxes, place

LEAST_FIT = 0.5  # share of the difference from the ground that the items must account for
VISIBLE = 0.1  # a difference from the ground that one sees, of 0..1
FREE_SHARE = 0.01  # of a free side's pixels may show something


@dataclass(frozen=True)
class Verdict:
    """Which of the properties asked for a picture has; None where the scene has no such.

    ground: kind and colours. colour: of shapes. space: the side opposite the object is free.
    """

    ground: bool
    colour: bool | None
    object: bool
    position: bool
    size: bool
    space: bool | None


def _centre(box: Box) -> tuple[float, float]:
    return ((box.column + box.cells / 2) * CELL, (box.row + box.cells / 2) * CELL)


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2


def _stands_where_asked(scene: Scene, found: Found) -> bool:
    """Whether of all places for an item of that size the one asked for is the closest."""
    asked = boxes(scene)[0]
    places = {place(name, asked.cells, scene) for name in POSITIONS}
    return min(places, key=lambda box: _distance(_centre(box), found.centre)) == asked


def _are_related(scene: Scene, found: list[Found]) -> bool:
    """Whether the items, told apart by name and colour, stand within a cell of their boxes."""
    if {one.item for one in found} != set(scene.items):
        return False
    expected = dict(zip(scene.items, boxes(scene), strict=True))
    return all(_distance(_centre(expected[one.item]), one.centre) <= CELL**2 for one in found)


def free_side(scene: Scene) -> tuple[slice, slice] | None:
    """Rows and columns, in pixels, between an item at one side and the picture's other edge."""
    if scene.relation is not None:
        return None
    box = boxes(scene)[0]
    left, top = box.column * CELL, box.row * CELL
    right, bottom = left + box.cells * CELL, top + box.cells * CELL
    everything = slice(None)
    return {
        "left": (everything, slice(right, None)),
        "right": (everything, slice(None, left)),
        "top": (slice(bottom, None), everything),
        "bottom": (slice(None, top), everything),
    }.get(scene.position)


def _is_free(scene: Scene, difference: np.ndarray) -> bool | None:
    side = free_side(scene)
    if side is None:
        return None
    return bool((difference[side].max(axis=-1) > VISIBLE).mean() <= FREE_SHARE)


def compare(ground: Ground, found: list[Found], free: bool | None, scene: Scene) -> Verdict:
    """Hold what was seen, of as many items as the scene has, against the scene."""
    complete = len(found) == len(scene.items) and sum(one.fit for one in found) >= LEAST_FIT
    asked = sorted(item.colour for item in scene.items if item.colour is not None)
    seen = [one.item.colour for one in found]
    if scene.relation is None:
        position = complete and _stands_where_asked(scene, found[0])
    else:
        position = complete and _are_related(scene, found)
    names = sorted(one.item.name for one in found)
    return Verdict(
        ground=ground == scene.ground,
        colour=all(seen.count(c) >= asked.count(c) for c in asked) if asked else None,
        object=complete and names == sorted(item.name for item in scene.items),
        position=position,
        size=complete
        and sorted(one.cells for one in found) == sorted(box.cells for box in boxes(scene)),
        space=free,
    )


def judge(picture: np.ndarray, scene: Scene) -> Verdict:
    """Compare a uint8 (height, width, 3) picture with the scene that was asked for."""
    pixels = picture.astype(np.float32) / 255
    ground = read_ground(pixels)
    drawn = draw_ground(ground, scene.width, scene.height)
    found = find_items(pixels, drawn, len(scene.items))
    return compare(ground, found, _is_free(scene, np.abs(pixels - drawn)), scene)
