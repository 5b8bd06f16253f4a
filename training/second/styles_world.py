"""What the second world looks like in each style: a scene to a picture, nothing left to chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from training.second.catalogue import CELL
from training.second.grounds import draw_ground
from training.second.render import lay, render
from training.second.scene import Scene, boxes
from training.second.shapes import shape_mask
from training.second.sprites import object_sprite

NAVY = np.array([0.07, 0.11, 0.30], np.float32)
PAPER = np.array([0.98, 0.96, 0.91], np.float32)
INK = np.array([0.13, 0.12, 0.16], np.float32)
DARK = np.array([0.05, 0.04, 0.09], np.float32)
WHITE = np.ones(3, np.float32)


@dataclass(frozen=True)
class Layers:
    """A scene's parts, float32 in 0..1.

    picture, ground: (height, width, 3), with and without items. items: (height, width, 1), how
    much of each pixel they cover, their shadows not counted.
    """

    picture: np.ndarray
    ground: np.ndarray
    items: np.ndarray


Drawing = Callable[[Layers], np.ndarray]
"""From a scene's layers to the picture in a style, (height, width, 3)."""


def layers(scene: Scene, shift: tuple[int, int] = (0, 0)) -> Layers:
    """The layers of a scene whose items are moved by (x, y) pixels, as `render`."""
    covered = np.zeros((scene.height, scene.width, 3), np.float32)
    for item, box in zip(scene.items, boxes(scene), strict=True):
        if item.colour is None:
            mask = object_sprite(item.name, box.cells)[..., 3:]
        else:
            mask = shape_mask(item.name, box.cells * CELL)[..., None]
        white = np.concatenate([mask, mask, mask, mask], axis=-1)
        lay(covered, white, box.column * CELL + shift[0], box.row * CELL + shift[1])
    return Layers(
        picture=render(scene, shift).astype(np.float32) / 255,
        ground=draw_ground(scene.ground, scene.width, scene.height),
        items=covered[..., :1],
    )


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    soft: np.ndarray = cv2.GaussianBlur(values, (0, 0), sigma)
    return soft.reshape(values.shape)


def _over(front: np.ndarray, cover: np.ndarray, behind: np.ndarray) -> np.ndarray:
    laid: np.ndarray = cover * front + (1 - cover) * behind
    return laid


def night(scene: Layers) -> np.ndarray:
    """The ground deep blue with a hint of its colours; the items glow in their own."""
    ground = 0.84 * NAVY + 0.16 * scene.ground
    light = 0.16 + 0.84 * scene.picture
    halo = _blurred(scene.items, 30)
    colour = _blurred(light * scene.items, 30) / (halo + 1e-3)
    glow = 0.75 * halo * (0.25 + 0.75 * colour)
    return _over(light, scene.items, ground + glow)


def _outline(items: np.ndarray, width: float) -> np.ndarray:
    """1 along the items' outlines, falling to 0 over about `width` pixels."""
    edge = _blurred(items, width)  # falls from 1 inside to 0 outside
    line: np.ndarray = np.exp(-(((edge - 0.5) / 0.3) ** 2))
    return line


def ink(scene: Layers) -> np.ndarray:
    """Paper with a wash of the ground's colours; the items in pale paint and a dark outline."""
    ground = 0.6 * PAPER + 0.4 * scene.ground
    paint = 0.25 * PAPER + 0.75 * scene.picture
    outline = _outline(scene.items, 3.0)
    return _over(INK, outline, _over(paint, scene.items, ground))


def paper_cut(scene: Layers) -> np.ndarray:
    """The items cut from paper with a white rim, lying on pale paper with a shadow of depth."""
    ground = 0.45 * WHITE + 0.55 * scene.ground
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (17, 17))
    rim = cv2.dilate(scene.items, disc).reshape(scene.items.shape)
    rim = _blurred(rim, 0.7)
    cast = _blurred(np.roll(rim, (10, 8), axis=(0, 1)), 7)
    shaded = ground * (1 - 0.45 * cast)
    brightest = scene.picture.max(axis=-1, keepdims=True) + 1e-3
    flat = scene.picture * np.round(brightest * 5) / 5 / brightest  # fewer tones of the same hue
    return _over(0.1 + 0.9 * flat, scene.items, _over(WHITE, rim, shaded))


def neon(scene: Layers) -> np.ndarray:
    """Tubes of light along the items' lines in their own colours, in the dark."""
    ground = 0.9 * DARK + 0.1 * scene.ground
    lifted = scene.picture / (scene.picture.max(axis=-1, keepdims=True) + 0.05)
    vivid = (lifted + 0.6 * (lifted - lifted.mean(axis=-1, keepdims=True))).clip(0.05, 1)
    tube = _outline(scene.items, 3.0)
    colour = _blurred(vivid * scene.items, 8) / (_blurred(scene.items, 8) + 1e-3)
    colour = colour.clip(0, 1)
    body = _over(0.35 * scene.picture, scene.items, ground)
    glow = 0.9 * _blurred(tube, 12) * colour
    return _over(0.35 + 0.65 * colour, tube, body + glow)


STYLES: dict[str, Drawing] = {"night": night, "ink": ink, "paper cut": paper_cut, "neon": neon}


def render_in(style: str, scene: Scene, shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    """As `render`, in one of STYLES: uint8 (height, width, 3), sRGB."""
    drawn = STYLES[style](layers(scene, shift))
    made: np.ndarray = np.rint(drawn.clip(0, 1) * 255).astype(np.uint8)
    return made
