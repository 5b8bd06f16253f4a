"""A scene of the second world, and where its items stand: everything on the grid of the tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.second.catalogue import (
    CELL,
    COLOURS,
    POSITIONS,
    RELATIONS,
    SIDEWAYS,
    SIZES,
    STAGES,
    GroundKind,
)

LEAST_CONTRAST = 60.0  # distance in sRGB of two colours that must be told apart
BASE_CELLS = 1  # below what stands on a stage


@dataclass(frozen=True)
class Item:
    """An object in its own colours (`colour` is None) or a shape in one of `COLOURS`."""

    name: str
    colour: str | None = None


@dataclass(frozen=True)
class Ground:
    """What the items stand before.

    colour: all of `plain` and `tiles`, the upper left of `two-tone`, the top of `gradient`, and
    what things stand on of a `table` or `floor`. second: the rest, or the wall behind.
    """

    kind: GroundKind
    colour: str
    second: str | None = None


@dataclass(frozen=True)
class Scene:
    """What a prompt describes. `relation` belongs to several items, `size`, `position` to one."""

    items: tuple[Item, ...]
    ground: Ground
    size: str = "medium"
    position: str = "centre"
    relation: str | None = None
    width: int = 512
    height: int = 512


@dataclass(frozen=True)
class Box:
    """A square of `cells` cells whose top left corner is at (`column`, `row`), in cells."""

    column: int
    row: int
    cells: int


def _start(side: int, length: int, cells: int) -> int:
    """First cell of a box on an axis of `length` cells: near its start, middle or end."""
    near = max(0, length // 4 - cells // 2)
    return {-1: near, 0: (length - cells) // 2, 1: length - cells - near}[side]


def horizon(height: int) -> int:
    """Where a stage meets its wall, in pixels from the top of a picture of that height."""
    return CELL * round(height / CELL * 5 / 8)


def place(position: str, cells: int, scene: Scene) -> Box:
    """The box of an item of `cells` cells at `position`."""
    column, row = POSITIONS[position]
    columns, rows = scene.width // CELL, scene.height // CELL
    start = _start(column, columns, cells)
    if scene.ground.kind in STAGES:
        return Box(start, max(0, rows - BASE_CELLS - cells), cells)
    return Box(start, _start(row, rows, cells), cells)


def _related_cells(scene: Scene) -> int:
    """Side of each box where several items share a picture."""
    assert scene.relation is not None
    along = (scene.width if scene.relation in SIDEWAYS else scene.height) // CELL
    wanted = len(RELATIONS[scene.relation]) * SIZES["medium"]
    return SIZES["medium"] if along >= wanted else SIZES["small"]


def boxes(scene: Scene) -> tuple[Box, ...]:
    """One box for each item of the scene."""
    if scene.relation is None:
        return (place(scene.position, SIZES[scene.size], scene),)
    cells = _related_cells(scene)
    stands = [place(where, cells, scene) for where in RELATIONS[scene.relation]]
    if len(stands) == 3:  # side by side: where there is little room, to the edges
        widest = (scene.width // CELL - 3 * cells) // 2
        stands = [_outward(box, widest, scene) for box in stands]
    return tuple(stands)


def _outward(box: Box, widest: int, scene: Scene) -> Box:
    """The box with at most `widest` cells between it and the side of the picture it stands at."""
    columns = scene.width // CELL
    if box.column > widest and 2 * box.column + box.cells < columns:
        return replace(box, column=widest)
    if columns - box.column - box.cells > widest and 2 * box.column + box.cells > columns:
        return replace(box, column=columns - widest - box.cells)
    return box


def contrast(one: str, other: str) -> float:
    """Distance of two named colours in sRGB, 0..441."""
    a, b = np.asarray(COLOURS[one], float), np.asarray(COLOURS[other], float)
    return float(np.linalg.norm(a - b))


def _shows(scene: Scene) -> bool:
    """Whether all colours that must be told apart can be."""
    grounds = [c for c in (scene.ground.colour, scene.ground.second) if c is not None]
    if len(grounds) == 2 and contrast(*grounds) < LEAST_CONTRAST:
        return False
    return all(
        item.colour is None or contrast(item.colour, ground) >= LEAST_CONTRAST
        for item in scene.items
        for ground in grounds
    )


def is_drawable(scene: Scene) -> bool:
    """Whether every item shows, and stands where no other word would put it as well."""
    if not _shows(scene):
        return False
    if scene.relation is not None:
        if scene.ground.kind in STAGES and scene.relation not in SIDEWAYS:
            return False
        return len(set(scene.items)) == len(scene.items)
    column, row = POSITIONS[scene.position]
    if scene.ground.kind in STAGES and row != 0:
        return False
    asked = boxes(scene)[0]
    centre = place("centre", asked.cells, scene)
    return (column == 0 or asked.column != centre.column) and (row == 0 or asked.row != centre.row)
