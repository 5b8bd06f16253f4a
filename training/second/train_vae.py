"""Train the autoencoder: `python -m training.second.train_vae --minutes 60`.

Run it again with the same command to go on. At the end, or when ended, the averaged weights are
written as a model with the latents' mean and deviation in its config.
"""

from __future__ import annotations

import argparse
import os
import random

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from training.second.chunks import RUN, Ending
from training.second.models import make_vae
from training.second.pictures import Pool, scaled
from training.session import Session, device
from training.train_vae import decibels, make_optimisers, redrawing_loss

FOLDER = RUN / "vae"
POOL = 300  # pictures
CROP, CROPS = 128, 4
WHOLE_SHARE = 0.1  # of batches: the norms see other statistics in a crop than in a whole picture
KL_WEIGHT = 1e-3
MEASURED = 24  # pictures


def batch(pool: Pool) -> Tensor:
    """float32 (n, 3, side, side) in -1..1; a few blends widen the range of colours."""
    pool.renew()
    if pool.rng.random() < WHOLE_SHARE:
        return scaled(pool.whole(1))
    pictures = scaled(pool.crops(CROPS, CROP))
    share = torch.rand(1)
    pictures[0].lerp_(pictures[-1], share)
    return pictures


def loss_of(vae: AutoencoderKL, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The training loss and the mean squared error of the reconstruction."""
    posterior = vae.encode(pictures).latent_dist
    redrawn = vae.decode(posterior.sample()).sample
    loss, error = redrawing_loss(redrawn, pictures)
    mean, logvar = posterior.mean, posterior.logvar
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    return loss + KL_WEIGHT * kl, error


@torch.no_grad()
def finish(vae: AutoencoderKL, seed: int = 7) -> None:
    """Measure the latents' mean and deviation into the config, print the PSNR and save."""
    pool = Pool(MEASURED, seed)
    for _ in range(MEASURED):
        pool.renew()
    latents, errors = [], []
    for picture, _ in pool.pictures:
        pixels = scaled(torch.from_numpy(picture).permute(2, 0, 1)[None])
        mean = vae.encode(pixels).latent_dist.mean
        errors.append(functional.mse_loss(vae.decode(mean).sample.clamp(-1, 1), pixels))
        latents.append(mean)
    joined = torch.cat(latents)
    shift, deviation = joined.mean().item(), joined.std().item()
    vae.register_to_config(scaling_factor=1 / deviation, shift_factor=shift)
    each = joined.std(dim=(0, 2, 3))
    psnr = decibels(torch.stack(errors).mean())
    spread = f"{shift:.3f} +- {deviation:.3f} ({each.min():.2f} to {each.max():.2f} by channel)"
    print(f"latents {spread}, PSNR {psnr:.2f} dB", flush=True)
    vae.save_pretrained(FOLDER / "model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    arguments = parser.parse_args()
    ending = Ending(FOLDER)
    torch.manual_seed(0)
    vae = make_vae().to(device(), memory_format=torch.channels_last)
    session = Session(FOLDER, arguments.minutes, vae, make_optimisers(vae), decay=0.998)
    seed = random.SystemRandom().randrange(2**32)  # a run that goes on draws anew
    torch.manual_seed(seed)
    pool = Pool(POOL, seed)
    for _ in range(32):
        pool.renew()
    errors: list[Tensor] = []
    while not session.finished and not ending:
        loss, error = loss_of(vae, batch(pool).to(device()))
        session.advance(loss)
        errors.append(error)
        if session.step % 100 == 0:
            mean = decibels(torch.stack(errors[-100:]).mean())
            told = f"loss {loss.item():.4f}, PSNR of batches {mean:.2f} dB"
            print(f"{session.step} {session.elapsed:.0f} s, {told}", flush=True)
    session.save()
    session.average.copy_to(vae)
    finish(vae)


if __name__ == "__main__":
    main()
