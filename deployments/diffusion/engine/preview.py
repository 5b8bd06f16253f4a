"""Previews without a decode: a linear map from latents to RGB, fitted to the VAE at load.

The VAE's latents are close to linear in the mean colour of the pixels beneath them, so that a
least-squares fit on coloured rectangles shows layout and colours for nearly nothing.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from deployments.diffusion.request import Preview, Row, require_finite

FIT_PICTURES = 12
FIT_SIZE = 128  # pixels
FIT_RECTANGLES = 3  # a picture, on a plain ground: large flat parts with edges, as in pictures


class LatentProjection:
    """RGB = latents @ weights + bias, for latents of C channels."""

    def __init__(self, encode: Callable[[NDArray[np.uint8]], torch.Tensor]) -> None:
        """Fit to a VAE. `encode`: uint8 (H, W, 3) to latents (1, C, h, w)."""
        rng = np.random.default_rng(0)
        inputs, targets = [], []
        for _ in range(FIT_PICTURES):
            picture = random_rectangles(rng)
            latents = encode(picture)[0].float().cpu()
            height, width = latents.shape[-2:]
            pixels = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)
            mean = torch.nn.functional.adaptive_avg_pool2d(pixels, (height, width))
            inputs.append(latents.flatten(1).T)
            targets.append(mean.flatten(1).T)
        known = torch.cat(inputs)
        ones = torch.ones(len(known), 1)
        solution = torch.linalg.lstsq(torch.cat([known, ones], 1), torch.cat(targets)).solution
        self._weights, self._bias = solution[:-1], solution[-1]

    def __call__(self, latents: torch.Tensor) -> NDArray[np.uint8]:
        """uint8 (h, w, 3) of clean latents (1, C, h, w). Raises GenerationFailed for no numbers."""
        channels_last = latents[0].permute(1, 2, 0).float().cpu()
        require_finite(channels_last.isfinite().all())
        rgb = channels_last @ self._weights + self._bias
        picture: NDArray[np.uint8] = (rgb.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        return picture


def show(row: Row, velocity: torch.Tensor, projection: LatentProjection) -> None:
    """Tell a listener where the step led: x - sigma * dx/dsigma, the picture without its noise."""
    request = row.request
    wanted = preview_steps(row.all_steps, request.terms.previews)
    if request.sink is None or row.steps_done not in wanted:
        return
    pixels = projection(row.latents - row.sigmas[row.step] * velocity)
    number = request.rows.index(row)
    request.sink(Preview(number, wanted.index(row.steps_done), row.steps_done, pixels))


def random_rectangles(rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 (FIT_SIZE, FIT_SIZE, 3): a plain ground with rectangles of random colours on it."""
    picture = np.empty((FIT_SIZE, FIT_SIZE, 3), np.uint8)
    picture[:] = rng.integers(0, 256, 3)
    for _ in range(FIT_RECTANGLES):
        left, top = rng.integers(0, 3 * FIT_SIZE // 4, 2)
        width, height = rng.integers(FIT_SIZE // 4, 3 * FIT_SIZE // 4, 2)
        picture[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return picture


def preview_steps(steps: int, previews: int) -> tuple[int, ...]:
    """After which steps `previews` previews are made, spread evenly, never after the last one."""
    wanted = {round(steps * (i + 1) / (previews + 1)) for i in range(previews)}
    return tuple(sorted(step for step in wanted if 0 < step < steps))
