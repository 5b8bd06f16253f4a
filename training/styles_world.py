"""What the world looks like in each style: a scene to a picture, with nothing left to chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from training.world import COLOURS, Scene, render

Drawing = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From the scene's picture (height, width, 3), its coverage by items (height, width, 1) and its
background colour (3,), all float32 in 0..1, to the picture in a style, of the same shape."""

NAVY = np.array([0.11, 0.17, 0.43], np.float32)
PAPER = np.array([0.98, 0.96, 0.91], np.float32)
INK = np.array([0.13, 0.12, 0.16], np.float32)


def coverage(scene: Scene, shift: tuple[int, int]) -> np.ndarray:
    """How much of each pixel the items cover: float32 (height, width, 1) in 0..1.

    From two drawings on different grounds: what covers the ground is the same in both.
    """
    dark, light = (
        render(replace(scene, background=ground), shift).astype(np.float32)
        for ground in ("black", "white")
    )
    full = np.asarray(COLOURS["white"], np.float32) - np.asarray(COLOURS["black"], np.float32)
    seen: np.ndarray = (1 - (light - dark) / full).mean(axis=-1, keepdims=True).clip(0, 1)
    return seen


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    soft: np.ndarray = cv2.GaussianBlur(values, (0, 0), sigma)
    return soft.reshape(values.shape)


def night(picture: np.ndarray, items: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Deep blue ground with a hint of the background's colour; the items glow in their own."""
    ground = 0.84 * NAVY + 0.16 * background
    light = 0.16 + 0.84 * picture
    halo = _blurred(items, 16)
    colour = _blurred(light * items, 16) / (halo + 1e-3)
    glow = 0.75 * halo * (0.25 + 0.75 * colour)
    return items * light + (1 - items) * (ground + glow)


def ink(picture: np.ndarray, items: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Paper with a wash of the background's colour; the items in pale paint and a dark outline."""
    ground = 0.6 * PAPER + 0.4 * background
    paint = 0.25 * PAPER + 0.75 * picture
    edge = _blurred(items, 2.6)  # falls from 1 inside to 0 outside
    outline = np.exp(-(((edge - 0.5) / 0.3) ** 2))
    flat = items * paint + (1 - items) * ground
    return (1 - outline) * flat + outline * INK


STYLES: dict[str, Drawing] = {"night": night, "ink": ink}


def render_in(style: str, scene: Scene, shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    """As `training.world.render`, in one of STYLES: uint8 (height, width, 3), sRGB."""
    picture = render(scene, shift).astype(np.float32) / 255
    background = np.asarray(COLOURS[scene.background], np.float32) / 255
    drawn = STYLES[style](picture, coverage(scene, shift), background)
    made: np.ndarray = np.rint(drawn.clip(0, 1) * 255).astype(np.uint8)
    return made
