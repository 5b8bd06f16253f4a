"""Train the autoencoder: `python -m training.second.train_vae --minutes 60`.

Run it again with the same command to go on. At the end, or when ended, the averaged weights are
written as a model with the latents' mean and deviation in its config.

It is made in three steps, of which this is the first, with `--outer`, and the last. An outer one of
16 pixels a latent learns edges and colours; `train_inner` puts a smaller code inside it without
drawing a pixel; then the whole is trained on pictures.
"""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from training.second.chunks import RUN, Ending
from training.second.losses import crisp_loss
from training.second.models import OUTER_CHANNELS, OUTER_LATENTS, make_vae
from training.second.narrow import narrowed
from training.second.pictures import Pool, scaled
from training.session import SHIPPED, Session, device
from training.train_vae import decibels, make_optimisers

OUTER_FOLDER = RUN / "outer"
INNER_FOLDER = RUN / "inner"
FOLDER = RUN / "vae"
POOL = 300  # pictures
CROP, CROPS = 128, 4
WHOLE_SHARE = 0.1  # of batches: the norms see other statistics in a crop than in a whole picture
KL_WEIGHT = 3e-4  # a latent stands for twice as many pixel values as in the first model
GENTLE = 0.3  # of the learning rates, for the narrowed weights of the shipped one
GENTLER = 0.1  # for the whole, whose inner code is trained already
MEASURED = 24  # pictures


def beginning(outer: bool, from_shipped: bool) -> AutoencoderKL:
    """What is trained: the outer autoencoder, or the whole with the inner one's weights."""
    if outer:
        vae = make_vae(OUTER_CHANNELS, OUTER_LATENTS)
        if from_shipped:
            shipped = AutoencoderKL.from_pretrained(SHIPPED / "vae").float()
            vae.load_state_dict(narrowed(shipped, OUTER_CHANNELS))
        return vae
    return AutoencoderKL.from_pretrained(INNER_FOLDER / "model")


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
    loss, error = crisp_loss(redrawn, pictures)
    mean, logvar = posterior.mean, posterior.logvar
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    return loss + KL_WEIGHT * kl, error


@torch.no_grad()
def finish(vae: AutoencoderKL, folder: Path, seed: int = 7) -> None:
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
    vae.save_pretrained(folder / "model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--outer", action="store_true", help="the first step")
    parser.add_argument("--from-shipped", action="store_true", help="with the shipped one's stages")
    arguments = parser.parse_args()
    folder = OUTER_FOLDER if arguments.outer else FOLDER
    ending = Ending(folder)
    torch.manual_seed(0)
    vae = beginning(arguments.outer, arguments.from_shipped)
    vae.to(device(), memory_format=torch.channels_last)
    pace = 1.0 if arguments.outer else GENTLER
    pace = GENTLE if arguments.from_shipped else pace
    session = Session(folder, arguments.minutes, vae, make_optimisers(vae, pace), decay=0.998)
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
    finish(vae, folder)


if __name__ == "__main__":
    main()
