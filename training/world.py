"""The small world that the embedded model knows, and how a scene of it is drawn.

A scene is one object or shape, or two in a relation, on a flat background. Everything stands on
the grid of the transformer's tokens (`CELL` pixels), so that an object has the same latents
wherever it stands and the picture follows from the prompt with nothing left to chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CELL = 32  # pixels of one token: VAE factor 16 times patch 2
ATLAS_PATH = Path(__file__).with_name("atlas.png")
ATLAS_TILE = 128
ATLAS_COLUMNS = 9
FILL = 7 / 8  # share of its box's side that an object may cover

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 215, 50),
    "green": (50, 165, 75),
    "blue": (50, 90, 215),
    "purple": (135, 65, 185),
    "pink": (245, 135, 185),
    "brown": (130, 80, 45),
    "black": (25, 25, 28),
    "white": (248, 248, 245),
    "gray": (140, 142, 148),
    "cyan": (60, 200, 215),
}
SHAPES = (
    "circle",
    "square",
    "triangle",
    "star",
    "heart",
    "diamond",
    "cross",
    "hexagon",
    "moon",
    "ring",
)
OBJECTS: dict[str, str] = {
    "cat": "🐱", "dog": "🐶", "fox": "🦊", "panda": "🐼", "frog": "🐸", "pig": "🐷",
    "penguin": "🐧", "owl": "🦉", "chick": "🐥", "turtle": "🐢", "octopus": "🐙",
    "butterfly": "🦋", "apple": "🍎", "banana": "🍌", "strawberry": "🍓", "watermelon": "🍉",
    "pineapple": "🍍", "cherry": "🍒", "lemon": "🍋", "grape": "🍇", "pizza": "🍕",
    "hamburger": "🍔", "ice cream": "🍦", "cake": "🎂", "donut": "🍩", "coffee": "☕",
    "tree": "🌳", "cactus": "🌵", "sunflower": "🌻", "tulip": "🌷", "mushroom": "🍄",
    "car": "🚗", "bus": "🚌", "rocket": "🚀", "sailboat": "⛵", "house": "🏠", "robot": "🤖",
    "gift": "🎁", "balloon": "🎈", "guitar": "🎸", "soccer ball": "⚽", "umbrella": "☂️",
    "camera": "📷", "sneaker": "👟", "handbag": "👜",
}  # fmt: skip
SIZES = {"small": 2, "medium": 4, "large": 6}  # side of the object's box in cells
POSITIONS: dict[str, tuple[int, int]] = {  # (column, row), each -1, 0 or 1
    "centre": (0, 0),
    "left": (-1, 0),
    "right": (1, 0),
    "top": (0, -1),
    "bottom": (0, 1),
    "top left": (-1, -1),
    "top right": (1, -1),
    "bottom left": (-1, 1),
    "bottom right": (1, 1),
}
RELATIONS: dict[str, tuple[str, str]] = {  # where the first and the second object stand
    "above": ("top", "bottom"),
    "below": ("bottom", "top"),
    "left of": ("left", "right"),
    "right of": ("right", "left"),
}
BUCKETS = ((256, 256), (256, 320), (320, 256), (192, 320), (320, 192))  # (width, height)


@dataclass(frozen=True)
class Item:
    """An object in its own colours (`colour` is None) or a shape in one of `COLOURS`."""

    name: str
    colour: str | None = None


@dataclass(frozen=True)
class Scene:
    """What a prompt describes. `relation` belongs to two items, `size` and `position` to one."""

    items: tuple[Item, ...]
    background: str
    size: str = "medium"
    position: str = "centre"
    relation: str | None = None
    width: int = 256
    height: int = 256


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


def place(position: str, cells: int, width: int, height: int) -> Box:
    """The box of an object of `cells` cells at `position` in a picture of that size in pixels."""
    column, row = POSITIONS[position]
    return Box(_start(column, width // CELL, cells), _start(row, height // CELL, cells), cells)


def boxes(scene: Scene) -> tuple[Box, ...]:
    """One box for each item of the scene."""
    width, height = scene.width, scene.height
    if scene.relation is None:
        return (place(scene.position, SIZES[scene.size], width, height),)
    along = width if scene.relation in ("left of", "right of") else height
    cells = SIZES["medium"] if along >= 2 * CELL * SIZES["medium"] else SIZES["small"]
    return tuple(place(where, cells, width, height) for where in RELATIONS[scene.relation])


def is_drawable(scene: Scene) -> bool:
    """Whether every item shows on the background and the position differs from the centre."""
    if any(item.colour == scene.background for item in scene.items):
        return False
    if scene.relation is not None:
        return scene.items[0] != scene.items[1]
    asked = boxes(scene)[0]
    centre = place("centre", asked.cells, scene.width, scene.height)
    column, row = POSITIONS[scene.position]
    return (column == 0 or asked.column != centre.column) and (row == 0 or asked.row != centre.row)


def _outline(shape: str, radius: float) -> list[tuple[float, float]]:
    """Corners of a polygonal shape around the origin."""

    def polar(corners: int, *lengths: float) -> list[tuple[float, float]]:
        turns = [2 * math.pi * index / corners for index in range(corners)]
        reach = [radius * lengths[index % len(lengths)] for index in range(corners)]
        return [(r * math.sin(t), -r * math.cos(t)) for r, t in zip(reach, turns, strict=True)]

    if shape == "heart":  # the classic parametric heart, scaled to the radius
        turns = [2 * math.pi * index / 120 for index in range(120)]
        return [
            (
                radius * math.sin(t) ** 3,
                -radius
                * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t))
                / 16,
            )
            for t in turns
        ]
    if shape == "triangle":
        return [(0, -0.92 * radius), (radius, 0.82 * radius), (-radius, 0.82 * radius)]
    if shape == "square":
        edge = 0.86 * radius
        return [(-edge, -edge), (edge, -edge), (edge, edge), (-edge, edge)]
    return {
        "star": polar(10, 1.0, 0.42),
        "diamond": polar(4, 1.0, 0.72),
        "hexagon": polar(6, 1.0),
    }[shape]


@cache
def shape_mask(shape: str, cells: int) -> np.ndarray:
    """Coverage of a shape in its box: float32 (side, side) in 0..1, anti-aliased."""
    scale = 4
    side = cells * CELL * scale
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    middle, radius = side / 2, side / 2 * FILL

    def disc(reach: float, value: int, shift: float = 0.0) -> None:
        x = middle + shift
        draw.ellipse((x - reach, middle - reach, x + reach, middle + reach), fill=value)

    if shape in ("circle", "ring", "moon"):
        disc(radius, 255)
        if shape == "ring":
            disc(0.55 * radius, 0)
        if shape == "moon":
            disc(0.85 * radius, 0, shift=0.5 * radius)
    elif shape == "cross":
        arm = 0.34 * radius
        draw.rectangle((middle - arm, middle - radius, middle + arm, middle + radius), fill=255)
        draw.rectangle((middle - radius, middle - arm, middle + radius, middle + arm), fill=255)
    else:
        draw.polygon([(middle + x, middle + y) for x, y in _outline(shape, radius)], fill=255)
    small = mask.resize((side // scale, side // scale), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255


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
    premultiplied = tile.convert("RGBa").resize((inner, inner), Image.Resampling.LANCZOS)
    sprite = np.zeros((side, side, 4), np.float32)
    margin = (side - inner) // 2
    sprite[margin : margin + inner, margin : margin + inner] = (
        np.asarray(premultiplied, np.float32) / 255
    )
    return sprite


def sprite(item: Item, cells: int) -> np.ndarray:
    """Any item in its box: float32 (side, side, 4), colour premultiplied by alpha, in 0..1."""
    if item.colour is None:
        return object_sprite(item.name, cells)
    mask = shape_mask(item.name, cells)[..., None]
    colour = np.asarray(COLOURS[item.colour], np.float32) / 255
    return np.concatenate([mask * colour, mask], axis=-1)


def render(scene: Scene, shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Draw a scene: uint8 (height, width, 3), sRGB.

    `shift` moves everything that stands on the background by (x, y) pixels, clipped at the edges.
    """
    background = np.asarray(COLOURS[scene.background], np.float32) / 255
    picture = np.broadcast_to(background, (scene.height, scene.width, 3)).copy()
    for item, box in zip(scene.items, boxes(scene), strict=True):
        drawn = sprite(item, box.cells)
        x, y = box.column * CELL + shift[0], box.row * CELL + shift[1]
        left, top = max(0, x), max(0, y)
        right = min(scene.width, x + drawn.shape[1])
        bottom = min(scene.height, y + drawn.shape[0])
        part = drawn[top - y : bottom - y, left - x : right - x]
        target = picture[top:bottom, left:right]
        target *= 1 - part[..., 3:]
        target += part[..., :3]
    drawing: np.ndarray = np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
    return drawing
