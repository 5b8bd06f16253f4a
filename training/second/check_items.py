"""Find items before a known ground by template matching: the best fit in least squares wins.

At an eighth of the size, everywhere: with a ground G and an item's premultiplied colour S and
coverage A, the picture less G is explained by S - A G, and what that explains of it is the gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.second.catalogue import CELL, COLOURS, OBJECTS, SHAPES, SIZES
from training.second.scene import Box, Item
from training.second.shapes import shape_mask
from training.second.sprites import sprite

SCALE = 8  # pixels of the picture a pixel of the comparison
NOISE = 0.08  # a difference from the ground that is not an item's, of 0..1


@dataclass(frozen=True)
class Found:
    """An item seen at a centre in pixels; fit is its share of the difference, 0..1."""

    item: Item
    cells: int
    centre: tuple[float, float]
    fit: float


@dataclass(frozen=True)
class Matched:
    """The best place of one template: what it explains, and its corner in small pixels."""

    gain: float
    item: Item
    box: Box


@cache
def _objects(cells: int) -> tuple[Tensor, Tensor]:
    """Colours (n, 3, side, side) and coverages (n, 1, side, side) of all objects."""
    full = torch.from_numpy(np.stack([sprite(Item(name), cells) for name in OBJECTS]))
    small = functional.avg_pool2d(full.permute(0, 3, 1, 2), SCALE)
    return small[:, :3].contiguous(), small[:, 3:].contiguous()


@cache
def _masks(cells: int) -> Tensor:
    """Coverages (n, 1, side, side) of all shapes."""
    full = torch.from_numpy(np.stack([shape_mask(name, cells * CELL) for name in SHAPES]))
    return functional.avg_pool2d(full[:, None], SCALE)


def _object_gains(difference: Tensor, ground: Tensor, cells: int) -> Tensor:
    """(objects, rows, columns) of gains for a difference and ground of (3, height, width)."""
    colour, cover = _objects(cells)
    toward = functional.conv2d(difference[None], colour)[0]
    toward -= functional.conv2d((difference * ground).sum(0)[None, None], cover)[0]
    energy = colour.square().sum(dim=(1, 2, 3))[:, None, None]
    energy = energy - 2 * functional.conv2d(ground[None], colour * cover)[0]
    energy = energy + functional.conv2d(ground.square().sum(0)[None, None], cover.square())[0]
    return 2 * toward - energy


def _shape_gains(difference: Tensor, ground: Tensor, cells: int) -> Tensor:
    """(shapes, colours, rows, columns) of gains."""
    cover = _masks(cells)
    colours = torch.tensor(list(COLOURS.values())).float() / 255

    def along(picture: Tensor, masks: Tensor) -> Tensor:
        """Each channel under each mask: (masks, channels, rows, columns)."""
        return functional.conv2d(picture[:, None], masks).transpose(0, 1)

    toward = torch.einsum("sahw,ca->schw", along(difference, cover), colours)
    toward -= along((difference * ground).sum(0)[None], cover)
    squared = cover.square()
    energy = squared.sum(dim=(1, 2, 3))[:, None] * colours.square().sum(dim=1)[None]
    crossed = torch.einsum("sahw,ca->schw", along(ground, squared), colours)
    rest = along(ground.square().sum(0)[None], squared)
    return 2 * toward - (energy[..., None, None] - 2 * crossed + rest)


def _best(difference: Tensor, ground: Tensor, sizes: tuple[int, ...]) -> Matched:
    """The item of one of these sizes in cells that explains most."""
    best: Matched | None = None
    for cells in sizes:
        side = cells * CELL // SCALE
        if side > min(difference.shape[1:]):
            continue
        objects = _object_gains(difference, ground, cells)
        shapes = _shape_gains(difference, ground, cells)
        for gains, items in (
            (objects, [Item(name) for name in OBJECTS]),
            (shapes.flatten(0, 1), [Item(shape, hue) for shape in SHAPES for hue in COLOURS]),
        ):
            value, where = gains.flatten().max(dim=0)
            if best is None or value.item() > best.gain:
                index, row, column = np.unravel_index(int(where), gains.shape)
                box = Box(int(column), int(row), side)
                best = Matched(value.item(), items[int(index)], box)
    assert best is not None
    return best


def _small(picture: np.ndarray) -> Tensor:
    """(3, height / SCALE, width / SCALE) of a float32 (height, width, 3) picture."""
    return functional.avg_pool2d(torch.from_numpy(picture).permute(2, 0, 1), SCALE)


def find_items(picture: np.ndarray, ground: np.ndarray, count: int) -> list[Found]:
    """Up to `count` items of a float32 (height, width, 3) picture before its ground, in 0..1.

    Of several none is of the largest size, whose box would hold two of the others.
    """
    sizes = tuple(SIZES.values()) if count == 1 else tuple(SIZES.values())[:-1]
    behind = _small(ground)
    difference = _small(picture) - behind
    difference = difference * (difference.abs().amax(dim=0) > NOISE)
    total = max(difference.square().sum().item(), 1e-9)
    found: list[Found] = []
    for _ in range(count):
        match = _best(difference, behind, sizes)
        if match.gain <= 0:
            break
        box = match.box
        rows = slice(box.row, box.row + box.cells)
        columns = slice(box.column, box.column + box.cells)
        middle = box.cells / 2
        centre = ((box.column + middle) * SCALE, (box.row + middle) * SCALE)
        found.append(Found(match.item, box.cells * SCALE // CELL, centre, match.gain / total))
        difference[:, rows, columns] = 0
    return found
