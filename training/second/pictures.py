"""Training pictures of the autoencoder: a pool of drawn scenes that is renewed as it is used."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from training.second.catalogue import CELL
from training.second.render import render
from training.second.scene import Box, Scene, boxes
from training.second.scenes import sample_scene
from training.second.styles_world import STYLES, render_in

LATENT = 32  # pixels
LOOSE_SHARE = 0.3  # of scenes off the grid, so that pictures given by users survive as well
LOOSE_SHIFT = 48  # pixels
STYLED_SHARE = 0.15  # of pictures in a style, whose glows and outlines must survive too
ON_GRID = 0.7  # of crops begin where a latent begins


def draw_square(rng: random.Random) -> tuple[np.ndarray, tuple[Box, ...]]:
    """A random square training picture, uint8 (512, 512, 3), and where something stands in it."""
    scene: Scene | None = None
    while scene is None:
        drawn = sample_scene(rng, held_out=False)
        scene = replace(drawn, width=512, height=512) if drawn.width <= drawn.height else None
    loose = rng.random() < LOOSE_SHARE
    reach = LOOSE_SHIFT if loose else 0
    shift = (rng.randint(-reach, reach), rng.randint(-reach, reach))
    if rng.random() < STYLED_SHARE:
        return render_in(rng.choice(list(STYLES)), scene, shift), boxes(scene)
    return render(scene, shift), boxes(scene)


class Pool:
    """`size` pictures, of which the oldest is replaced whenever a new one is asked for."""

    def __init__(self, size: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.pictures: list[tuple[np.ndarray, tuple[Box, ...]]] = []
        self.size = size

    def renew(self) -> None:
        """Draw one more picture."""
        self.pictures.append(draw_square(self.rng))
        del self.pictures[: -self.size]

    def whole(self, count: int) -> Tensor:
        """uint8 (count, 3, 512, 512)."""
        return _stack([self.rng.choice(self.pictures)[0] for _ in range(count)])

    def crops(self, count: int, side: int) -> Tensor:
        """Crops that touch an item: uint8 (count, 3, side, side)."""
        return _stack([self._crop(side) for _ in range(count)])

    def _crop(self, side: int) -> np.ndarray:
        picture, places = self.rng.choice(self.pictures)
        box = self.rng.choice(places)
        grid = LATENT if self.rng.random() < ON_GRID else 1
        x, y = (
            min(
                max(0, start * CELL + self.rng.randint(-side // 2, box.cells * CELL - side // 2)),
                512 - side,
            )
            for start in (box.column, box.row)
        )
        x, y = x - x % grid, y - y % grid
        return picture[y : y + side, x : x + side]


def _stack(pictures: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def scaled(pictures: Tensor) -> Tensor:
    """float32 in -1..1, channels last, of uint8 pictures."""
    return (pictures.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
