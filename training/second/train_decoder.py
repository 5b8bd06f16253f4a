"""Sharpen the decoder on the finished latents: `... train_decoder --minutes 60`.

The encoder stays as it is, so the transformer may train on its latents at the same time. Noise on
the latents is what the transformer's errors look like. Run it again with the same command to go on.
"""

from __future__ import annotations

import argparse
import os
import random

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.second.chunks import RUN, Ending
from training.second.losses import crisp_loss
from training.second.pictures import Pool
from training.second.train_vae import FOLDER as VAE_FOLDER
from training.second.train_vae import GENTLER, POOL, batch
from training.session import Session, device
from training.train_vae import decibels, make_optimisers

FOLDER = RUN / "decoder"
NOISE = 0.15  # deviation added to latents, of theirs


def loss_of(vae: AutoencoderKL, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The training loss of the decoder, and the mean squared error of what it draws."""
    with torch.no_grad():
        latents = vae.encode(pictures).latent_dist.mean
    noise = NOISE / vae.config.scaling_factor * torch.randn_like(latents)
    return crisp_loss(vae.decode(latents + noise).sample, pictures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    arguments = parser.parse_args()
    ending = Ending(FOLDER)
    vae = AutoencoderKL.from_pretrained(VAE_FOLDER / "model").to(device())
    vae.to(memory_format=torch.channels_last)
    decoder = vae.decoder
    optimisers = make_optimisers(decoder, GENTLER)
    session = Session(FOLDER, arguments.minutes, decoder, optimisers, decay=0.998)
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
    session.average.copy_to(decoder)
    vae.save_pretrained(FOLDER / "model")


if __name__ == "__main__":
    main()
