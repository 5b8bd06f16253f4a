"""Items in their boxes: objects out of the atlas with a soft shadow where they stand, or shapes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.second.catalogue import CELL, COLOURS, OBJECTS
from training.second.scene import Item
from training.second.shapes import FILL, shape_mask

ATLAS_PATH = Path(__file__).with_name("atlas.webp")
ATLAS_TILE = 336  # pixels: an object in the largest box is drawn as it was rasterised
ATLAS_COLUMNS = 8
SHADOW = 0.4  # opacity of a shadow's middle
SHADOW_HEIGHT = 0.035  # of the box's side, from the middle of the shadow
SHADOW_BLUR = 0.013  # of the box's side
SHADOW_WIDTH = 0.45  # of the width of what stands there


@cache
def _atlas() -> Image.Image:
    with Image.open(ATLAS_PATH) as file:
        return file.convert("RGBA")


@cache
def object_sprite(name: str, cells: int) -> np.ndarray:
    """An object in its box: float32 (side, side, 4), colour premultiplied by alpha, in 0..1."""
    row, column = divmod(list(OBJECTS).index(name), ATLAS_COLUMNS)
    x, y = column * ATLAS_TILE, row * ATLAS_TILE
    tile = _atlas().crop((x, y, x + ATLAS_TILE, y + ATLAS_TILE))
    side = cells * CELL
    inner = round(side * FILL)
    premultiplied = tile.convert("RGBa").resize((inner, inner), Image.Resampling.BOX)
    sprite = np.zeros((side, side, 4), np.float32)
    margin = (side - inner) // 2
    sprite[margin : margin + inner, margin : margin + inner] = (
        np.asarray(premultiplied, np.float32) / 255
    )
    return sprite


@cache
def shadow(name: str, cells: int) -> np.ndarray:
    """Opacity of the shadow that an object casts where it stands: float32 (side, side)."""
    alpha = object_sprite(name, cells)[..., 3]
    side = len(alpha)
    rows, columns = np.nonzero(alpha > 0.5)
    bottom = int(rows.max())
    near = columns[rows > bottom - side // 5]  # what is close to where it stands
    left, right = float(near.min()), float(near.max())
    middle, half = (left + right) / 2, SHADOW_WIDTH * (right - left)
    picture = Image.new("L", (side, side))
    reach = SHADOW_HEIGHT * side
    ellipse = (middle - half, bottom - reach, middle + half, bottom + reach)
    ImageDraw.Draw(picture).ellipse(ellipse, fill=255)
    soft = picture.filter(ImageFilter.GaussianBlur(SHADOW_BLUR * side))
    return np.asarray(soft, np.float32) / 255 * SHADOW


@cache
def _standing(name: str, cells: int) -> np.ndarray:
    """An object upon its shadow, as `sprite`."""
    drawn = object_sprite(name, cells)
    below = shadow(name, cells)
    together = drawn.copy()
    together[..., 3] += (1 - drawn[..., 3]) * below
    return together


def sprite(item: Item, cells: int) -> np.ndarray:
    """Any item in its box: float32 (side, side, 4), colour premultiplied by alpha, in 0..1."""
    if item.colour is None:
        return _standing(item.name, cells)
    mask = shape_mask(item.name, cells * CELL)[..., None]
    colour = np.asarray(COLOURS[item.colour], np.float32) / 255
    return np.concatenate([mask * colour, mask], axis=-1)
