"""The ten shapes as vectors: coverage of a shape at any size, anti-aliased."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

SUPERSAMPLING = 8
FILL = 7 / 8  # share of its box's side that an item may cover


def _polar(corners: int, radius: float, *lengths: float) -> list[tuple[float, float]]:
    """Corners around the origin from the top, clockwise, at alternating shares of the radius."""
    turns = [2 * math.pi * index / corners for index in range(corners)]
    reach = [radius * lengths[index % len(lengths)] for index in range(corners)]
    return [(r * math.sin(t), -r * math.cos(t)) for r, t in zip(reach, turns, strict=True)]


def _heart(radius: float) -> list[tuple[float, float]]:
    turns = [2 * math.pi * index / 240 for index in range(240)]
    return [
        (
            radius * math.sin(t) ** 3,
            -radius
            * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t))
            / 16,
        )
        for t in turns
    ]


def _outline(shape: str, radius: float) -> list[tuple[float, float]]:
    """Corners of a polygonal shape around the origin."""
    edge = 0.86 * radius
    match shape:
        case "heart":
            return _heart(radius)
        case "triangle":
            return [(0, -0.92 * radius), (radius, 0.82 * radius), (-radius, 0.82 * radius)]
        case "square":
            return [(-edge, -edge), (edge, -edge), (edge, edge), (-edge, edge)]
        case "star":
            return _polar(10, radius, 1.0, 0.42)
        case "diamond":
            return _polar(4, radius, 1.0, 0.72)
        case "hexagon":
            return _polar(6, radius, 1.0)
    raise KeyError(shape)


@cache
def shape_mask(shape: str, side: int) -> np.ndarray:
    """Coverage of a shape in a box of `side` pixels: float32 (side, side) in 0..1."""
    large = side * SUPERSAMPLING
    mask = Image.new("L", (large, large))
    draw = ImageDraw.Draw(mask)
    middle, radius = large / 2, large / 2 * FILL

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
    small = mask.resize((side, side), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255
