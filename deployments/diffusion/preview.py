"""Previews without a decode: a linear map from latents to RGB, fitted to the VAE at load.

The VAE's latents are close to linear in the mean colour of the pixels beneath them, so that a
least-squares fit on coloured noise shows layout and colours at a thousandth of a decode's cost.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

FIT_SIDES = (4, 8, 16)  # cells a side of the colour fields that the fit is made on
FIT_SIZE = 256  # pixels


class LatentProjection:
    """RGB = latents @ weights + bias, for latents of C channels."""

    def __init__(self, encode: Callable[[NDArray[np.uint8]], torch.Tensor]) -> None:
        """Fit to a VAE. `encode`: uint8 (H, W, 3) to latents (1, C, h, w)."""
        rng = np.random.default_rng(0)
        inputs, targets = [], []
        for side in FIT_SIDES:
            cells = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            field = np.kron(cells, np.ones((FIT_SIZE // side, FIT_SIZE // side, 1), np.uint8))
            latents = encode(field)[0].float()
            pixels = torch.from_numpy(field.astype(np.float32) / 255).permute(2, 0, 1)
            height, width = latents.shape[-2:]
            mean = torch.nn.functional.adaptive_avg_pool2d(pixels, (height, width))
            inputs.append(latents.flatten(1).T.cpu())
            targets.append(mean.flatten(1).T)
        known = torch.cat(inputs)
        ones = torch.ones(len(known), 1)
        solution = torch.linalg.lstsq(torch.cat([known, ones], 1), torch.cat(targets)).solution
        self._weights, self._bias = solution[:-1], solution[-1]

    def __call__(self, latents: torch.Tensor) -> NDArray[np.uint8]:
        """uint8 (h, w, 3) of clean latents (1, C, h, w)."""
        channels_last = latents[0].permute(1, 2, 0).float().cpu()
        rgb = channels_last @ self._weights + self._bias
        picture: NDArray[np.uint8] = (rgb.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        return picture


def preview_steps(steps: int, previews: int) -> tuple[int, ...]:
    """After which steps `previews` previews are made, spread evenly, never after the last one."""
    wanted = {round(steps * (i + 1) / (previews + 1)) for i in range(previews)}
    return tuple(sorted(step for step in wanted if 0 < step < steps))
