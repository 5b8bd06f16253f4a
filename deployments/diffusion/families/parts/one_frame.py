"""Between pictures and latents by a VAE of videos, which takes each as a film of one frame."""

from copy import copy
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from numpy.typing import NDArray

from deployments.diffusion.families.parts.latents import LatentSpace, tile_side


class OneFrameSpace(LatentSpace):
    """The latents (1, C, h, w) of AutoencoderKLQwenImage: each channel with its mean and deviation.

    Every call takes a VAE of its own, over the same weights: diffusers' keeps what it saw of
    earlier frames in itself, where another thread would find it. Deviations are inverted first, as
    in diffusers: in bfloat16 it rounds.
    """

    def _read(self, config: Any) -> None:
        self._channels = int(config.z_dim)
        self.factor = 2 ** len(config.temperal_downsample)
        self._statistics = _by_channel(config.latents_mean), _by_channel(config.latents_std)

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        mean, deviation = self._statistics_like(latents)
        return ((latents - mean) * (1.0 / deviation))[:, :, 0].to(self._dtype)

    def mode(self, picture: NDArray[np.uint8], *, tiled: bool = False) -> torch.Tensor:
        """The most likely latents of a picture, divided as diffusers does for what is only read."""
        latents: torch.Tensor = self.encode(picture, tiled=tiled).mode()
        mean, deviation = self._statistics_like(latents)
        return ((latents - mean) / deviation)[:, :, 0].to(self._dtype)

    def unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        latents = latents.to(self._vae_dtype).unsqueeze(2)
        mean, deviation = self._statistics_like(latents)
        return latents / (1.0 / deviation) + mean

    def _statistics_like(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, deviation = self._statistics
        return mean.to(latents.device, latents.dtype), deviation.to(latents.device, latents.dtype)

    def _distribution(self, pixels: torch.Tensor, tiled: bool) -> DiagonalGaussianDistribution:
        height, width = (side // self.factor for side in pixels.shape[-2:])
        film = pixels.unsqueeze(2).contiguous().to(self._vae_dtype)  # in bfloat16 it rounds by that
        distribution: DiagonalGaussianDistribution = (
            self._own_vae(height, width, tiled).encode(film).latent_dist
        )
        return distribution

    def _decoded(self, unscaled: torch.Tensor, tiled: bool) -> torch.Tensor:
        height, width = unscaled.shape[-2:]
        vae = self._own_vae(height, width, tiled)
        image: torch.Tensor = vae.decode(unscaled, return_dict=False)[0][0, :, 0]
        return image

    def _own_vae(self, height: int, width: int, tiled: bool) -> Any:
        """One for a call; tiled: in at least four tiles of height x width latents, if possible."""
        vae = copy(self._vae)
        if tiled:
            side = tile_side(height, width) * self.factor
            stride = side * 3 // 4  # a quarter overlaps
            vae.enable_tiling(side, side, stride, stride)
        return vae


def _by_channel(values: list[float]) -> torch.Tensor:
    """(1, C, 1, 1, 1), of latents with frames."""
    return torch.tensor(values).view(1, -1, 1, 1, 1)
