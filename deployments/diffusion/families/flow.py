"""What flow matching families share: latents on the straight line from picture to noise."""

import torch

from deployments.diffusion.request import Generation


def mix(latents: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """sigma * noise + (1 - sigma) * latents, in the latents' dtype."""
    at = sigma.to(latents.device, latents.dtype)
    return at * noise + (1.0 - at) * latents


def keep_protected(row: Generation) -> None:
    """Give an inpainting row its protected part back, noised to where the row stands."""
    if row.source is None:
        return
    kept = row.source.latents
    if not row.denoised:
        kept = mix(kept, row.source.noise, row.sigmas[row.step])
    row.latents = (1 - row.source.mask) * kept + row.source.mask * row.latents


def steps_executed(steps: int, strength: float | None) -> int:
    """n - int(n - n * s), as the `get_timesteps` of diffusers' flow matching pipelines."""
    if strength is None:
        return steps
    return steps - int(max(steps - min(steps * strength, steps), 0))
