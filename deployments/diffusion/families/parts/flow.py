"""What flow matching families share: latents on the straight line from picture to noise."""

from collections.abc import Sequence

import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from numpy.typing import NDArray

from deployments.diffusion.families.parts.latents import LatentSpace
from deployments.diffusion.request import Inpainting, Row, Start

PATCH = 2  # latents of a token and side


def image_tokens(shape: Sequence[int]) -> int:
    """Of latents (..., h, w): one for each patch."""
    return shape[-2] // PATCH * (shape[-1] // PATCH)


def pack(latents: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) to (B, h/2 * w/2, 4C): each token a 2 x 2 patch, channel by channel."""
    patches = torch.nn.functional.pixel_unshuffle(latents, PATCH)
    return patches.flatten(2).transpose(1, 2).contiguous()


def unpack(tokens: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """The inverse of `pack`, to latents (..., h, w) of this shape."""
    height, width = shape[-2] // PATCH, shape[-1] // PATCH
    patches = tokens.transpose(1, 2).reshape(len(tokens), -1, height, width)
    return torch.nn.functional.pixel_shuffle(patches, PATCH)


def mix(latents: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """sigma * noise + (1 - sigma) * latents, in the latents' dtype."""
    at = sigma.to(latents.device, latents.dtype)
    return at * noise + (1.0 - at) * latents


def from_moments(
    space: LatentSpace,
    moments: DiagonalGaussianDistribution,
    mask: NDArray[np.bool_] | None,
    sigmas: torch.Tensor,
    generators: Sequence[torch.Generator],
    references: tuple[torch.Tensor, ...] = (),
    reference_tokens: int = 0,
) -> list[Start]:
    """Where pictures drawn from a given one begin, at sigmas[0], from what the VAE makes of it; one
    for each generator.
    """
    starts = []
    for generator in generators:
        # diffusers samples the VAE before it draws the noise: the order decides the picture
        latents = space.scaled(moments.sample(generator))
        starts.append(
            from_latents(space, latents, mask, sigmas, generator, references, reference_tokens)
        )
    return starts


def from_latents(
    space: LatentSpace,
    latents: torch.Tensor,
    mask: NDArray[np.bool_] | None,
    sigmas: torch.Tensor,
    generator: torch.Generator,
    references: tuple[torch.Tensor, ...] = (),
    reference_tokens: int = 0,
) -> Start:
    """Where a picture that is drawn from such latents begins, at sigmas[0]."""
    shape = tuple(latents.shape)
    noise = space.noise(shape, generator)
    inpainting = None if mask is None else Inpainting(latents, noise, space.mask(mask, shape))
    first = mix(latents, noise, sigmas[0])
    return Start(
        sigmas, first, inpainting, references=references, reference_tokens=reference_tokens
    )


def keep_protected(row: Row) -> None:
    """Give an inpainting row its protected part back, noised to where the row stands."""
    if row.inpainting is None:
        return
    kept = row.inpainting.latents
    if not row.denoised:
        kept = mix(kept, row.inpainting.noise, row.sigmas[row.step])
    row.latents = (1 - row.inpainting.mask) * kept + row.inpainting.mask * row.latents


def steps_executed(steps: int, strength: float | None) -> int:
    """n - int(n - n * s), as the `get_timesteps` of diffusers' flow matching pipelines."""
    if strength is None:
        return steps
    return steps - int(max(steps - min(steps * strength, steps), 0))
