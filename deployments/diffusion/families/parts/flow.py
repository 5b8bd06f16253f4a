"""What flow matching families share: latents on the straight line from picture to noise."""

from collections.abc import Sequence

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from deployments.diffusion.families.parts.latents import LatentSpace
from deployments.diffusion.request import Inpainting, Row, Start
from deployments.handover import Fitted

PATCH = 2  # latents of a token and side


def image_tokens(shape: Sequence[int]) -> int:
    """Of latents (..., h, w): one for each patch."""
    return shape[-2] // PATCH * (shape[-1] // PATCH)


def mix(latents: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """sigma * noise + (1 - sigma) * latents, in the latents' dtype."""
    at = sigma.to(latents.device, latents.dtype)
    return at * noise + (1.0 - at) * latents


def from_picture(
    space: LatentSpace,
    given: Fitted,
    sigmas: torch.Tensor,
    generators: Sequence[torch.Generator],
    *,
    tiled: bool,
) -> list[Start]:
    """Where pictures drawn from a given one begin, at sigmas[0]; one for each generator."""
    moments = space.encode(given.picture, tiled=tiled)
    shape = tuple(moments.mean.shape)
    mask = None if given.mask is None else space.mask(given.mask, shape)
    return [_noised(space, moments, sigmas, mask, generator) for generator in generators]


def _noised(
    space: LatentSpace,
    moments: DiagonalGaussianDistribution,
    sigmas: torch.Tensor,
    mask: torch.Tensor | None,
    generator: torch.Generator,
) -> Start:
    """A given picture's start at sigmas[0], from what the VAE makes of it."""
    # diffusers samples the VAE before it draws the noise: the order decides the picture
    latents = space.scaled(moments.sample(generator))
    noise = space.noise(tuple(latents.shape), generator)
    inpainting = None if mask is None else Inpainting(latents, noise, mask)
    return Start(sigmas, mix(latents, noise, sigmas[0]), inpainting)


def keep_protected(row: Row) -> None:
    """Give an inpainting row its protected part back, noised to where the row stands."""
    if row.inpainting is None:
        return
    kept = row.inpainting.latents
    if not row.denoised:
        kept = mix(kept, row.inpainting.noise, row.sigmas[row.step])
    row.latents = row.inpainting.put_back(row.latents, kept, row.steps_left)


def steps_executed(steps: int, strength: float | None) -> int:
    """n - int(n - n * s), as the `get_timesteps` of diffusers' flow matching pipelines."""
    if strength is None:
        return steps
    return steps - int(max(steps - min(steps * strength, steps), 0))
