"""Read a picture back: which scene does it show? Template matching only, nothing is learnt.

The background is the median of the border. What differs from it is compared, at a quarter of the
size, with every item of the world in every size at every place: the best fit in the sense of
least squares is what the picture shows. A second item is sought in what the first leaves over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.world import (
    CELL,
    COLOURS,
    OBJECTS,
    POSITIONS,
    SHAPES,
    SIZES,
    Box,
    Item,
    Scene,
    boxes,
    place,
    sprite,
)

SCALE = 4  # pixels of the picture a pixel of the comparison
BORDER = 4  # pixels
LEAST_FIT = 0.5  # share of the difference from the background that an item must account for
EVERYTHING = tuple(Item(name) for name in OBJECTS) + tuple(
    Item(shape, colour) for shape in SHAPES for colour in COLOURS
)


@dataclass(frozen=True)
class Found:
    """An item seen at a centre in pixels; `colour` is that of its pixels, whatever the item."""

    item: Item
    cells: int
    centre: tuple[float, float]
    colour: str
    fit: float  # share of the whole difference from the background, 0..1


@dataclass(frozen=True)
class Verdict:
    """Which of the properties asked for a picture has; `colour` is None without shapes."""

    background: bool
    colour: bool | None
    object: bool
    position: bool
    size: bool


def nearest_colour(rgb: np.ndarray) -> str:
    """The named colour closest to (3,) values of 0..255."""
    return min(COLOURS, key=lambda name: float(np.sum((np.asarray(COLOURS[name]) - rgb) ** 2)))


@cache
def _sprites(cells: int) -> Tensor:
    """All items at the comparison's size, colour premultiplied: (items, 4, side, side) in 0..1."""
    full = torch.from_numpy(np.stack([sprite(item, cells) for item in EVERYTHING]))
    return functional.avg_pool2d(full.permute(0, 3, 1, 2), SCALE)


@cache
def _templates(background: str, cells: int) -> tuple[Tensor, Tensor]:
    """All items less the background, (items, 3, side, side) in -1..1, and their energies."""
    ground = torch.tensor(COLOURS[background])[:, None, None] / 255
    drawn = _sprites(cells)
    difference = drawn[:, :3] - drawn[:, 3:] * ground
    return difference, difference.square().sum(dim=(1, 2, 3))


def _background(picture: np.ndarray) -> np.ndarray:
    """The median colour of the border, (3,) in 0..255."""
    edges = (
        picture[:BORDER].reshape(-1, 3),
        picture[-BORDER:].reshape(-1, 3),
        picture[:, :BORDER].reshape(-1, 3),
        picture[:, -BORDER:].reshape(-1, 3),
    )
    middle: np.ndarray = np.median(np.concatenate(edges), axis=0)
    return middle


def _best(difference: Tensor, background: str) -> tuple[Item, Box, float]:
    """The item that takes most of the difference (3, height, width), its box in small pixels."""
    best: tuple[float, Item, Box] | None = None
    for cells in SIZES.values():
        templates, energies = _templates(background, cells)
        side = templates.shape[-1]
        if side > min(difference.shape[1:]):
            continue
        gain = 2 * functional.conv2d(difference[None], templates)[0] - energies[:, None, None]
        value, where = gain.flatten().max(dim=0)
        if best is None or value.item() > best[0]:
            index, row, column = np.unravel_index(int(where), gain.shape)
            best = (value.item(), EVERYTHING[index], Box(int(column), int(row), side))
    assert best is not None
    return best[1], best[2], best[0]


def read(picture: np.ndarray, count: int) -> tuple[str, list[Found]]:
    """The background's name and up to `count` items of a uint8 (height, width, 3) picture."""
    ground = _background(picture)
    background = nearest_colour(ground)
    pixels = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)
    colours = functional.avg_pool2d(pixels, SCALE)
    flat = torch.from_numpy(ground.astype(np.float32))[:, None, None]
    difference = (colours - flat) / 255
    total = difference.square().sum().item()
    found: list[Found] = []
    for _ in range(count):
        item, box, gain = _best(difference, background)
        if gain <= 0:
            break
        area = (slice(None), slice(box.row, box.row + box.cells),
                slice(box.column, box.column + box.cells))  # fmt: skip
        strength = difference[area].square().sum(dim=0)
        marked = colours[area][:, strength > 0.25 * strength.max()]
        half = box.cells / 2
        found.append(
            Found(
                item=item,
                cells=box.cells * SCALE // CELL,
                centre=((box.column + half) * SCALE, (box.row + half) * SCALE),
                colour=nearest_colour(marked.median(dim=1).values.numpy()),
                fit=gain / total,
            )
        )
        difference[area] = 0
    return background, found


def _centre(box: Box) -> tuple[float, float]:
    return ((box.column + box.cells / 2) * CELL, (box.row + box.cells / 2) * CELL)


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2


def _stands_where_asked(scene: Scene, found: Found) -> bool:
    """Whether of all places for an item of that size the one asked for is the closest."""
    asked = boxes(scene)[0]
    places = {place(name, asked.cells, scene.width, scene.height) for name in POSITIONS}
    return min(places, key=lambda box: _distance(_centre(box), found.centre)) == asked


def _are_related(scene: Scene, found: list[Found]) -> bool:
    """Whether the items, told apart by name and colour, stand within a cell of their boxes."""
    if {one.item for one in found} != set(scene.items):
        return False
    expected = dict(zip(scene.items, boxes(scene), strict=True))
    return all(_distance(_centre(expected[one.item]), one.centre) <= CELL**2 for one in found)


def compare(background: str, found: list[Found], scene: Scene) -> Verdict:
    """Hold what `read` saw, of as many items as the scene has, against the scene."""
    complete = len(found) == len(scene.items) and sum(one.fit for one in found) >= LEAST_FIT
    asked_colours = sorted(item.colour for item in scene.items if item.colour is not None)
    # An object has colours of its own: only those of the shapes that were asked for count.
    seen_colours = [one.colour for one in found]
    colours_right = all(
        seen_colours.count(colour) >= asked_colours.count(colour) for colour in asked_colours
    )
    names = sorted(one.item.name for one in found)
    if scene.relation is None:
        position = complete and _stands_where_asked(scene, found[0])
    else:
        position = complete and _are_related(scene, found)
    return Verdict(
        background=background == scene.background,
        colour=colours_right if asked_colours else None,
        object=complete and names == sorted(item.name for item in scene.items),
        position=position,
        size=complete
        and sorted(one.cells for one in found) == sorted(box.cells for box in boxes(scene)),
    )


def judge(picture: np.ndarray, scene: Scene) -> Verdict:
    """Compare a uint8 (height, width, 3) picture with the scene that was asked for."""
    return compare(*read(picture, len(scene.items)), scene)
