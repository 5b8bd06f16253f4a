"""Sharpen the autoencoder's decoder on the finished latents: `python -m training.train_decoder`.

The encoder stays as it is, so the transformer may train on its latents at the same time. Run it
again with the same command to go on after an interruption.
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

from training.encode_latents import LOOSE_SHIFT
from training.scenes import sample_scene
from training.session import Session, device
from training.train_vae import RUN as VAE_RUN
from training.train_vae import decibels, make_optimisers, redrawing_loss
from training.world import CELL, Scene, boxes, render

RUN = Path(__file__).with_name("runs") / "decoder"
LATENT = 16  # pixels
WINDOW, WINDOWS = 6, 6  # side of a window in latents, windows a batch
RIM = 8  # pixels at a window's edge that lack their surroundings and do not count
WHOLE_SHARE, LOOSE_SHARE = 0.4, 0.2


class Pictures:
    """Scenes with their latents, encoded when first drawn."""

    def __init__(self, vae: AutoencoderKL, seed: int, count: int = 1500) -> None:
        self.vae = vae
        self.rng = random.Random(seed)
        self.scenes = [sample_scene(self.rng, held_out=False) for _ in range(count)]
        self.encoded: dict[int, Tensor] = {}

    @torch.no_grad()
    def encode(self, picture: Tensor) -> Tensor:
        """Unscaled latents (channels, height, width) of pixels (3, height, width) in -1..1."""
        latents: Tensor = self.vae.encode(picture[None].to(self.vae.device)).latent_dist.mean[0]
        return latents

    def draw(self, loose: bool) -> tuple[Scene, Tensor, Tensor]:
        """A scene, its pixels and its latents."""
        index = self.rng.randrange(len(self.scenes))
        scene = self.scenes[index]
        reach = LOOSE_SHIFT if loose else 0
        drawn = render(scene, (self.rng.randint(-reach, reach), self.rng.randint(-reach, reach)))
        pixels = torch.from_numpy(drawn).permute(2, 0, 1).float() / 127.5 - 1
        if loose:
            return scene, pixels, self.encode(pixels)
        if index not in self.encoded:
            self.encoded[index] = self.encode(pixels)
        return scene, pixels, self.encoded[index]

    def window(self) -> tuple[Tensor, Tensor]:
        """Pixels and latents of a square that touches an object."""
        scene, pixels, latents = self.draw(loose=False)
        box = self.rng.choice(boxes(scene))
        cell = CELL // LATENT
        x, y = (
            min(max(0, start * cell + self.rng.randint(-2, box.cells * cell - WINDOW + 2)), most)
            for start, most in (
                (box.column, latents.shape[2] - WINDOW),
                (box.row, latents.shape[1] - WINDOW),
            )
        )
        part = latents[:, y : y + WINDOW, x : x + WINDOW]
        side = WINDOW * LATENT
        top, left = y * LATENT, x * LATENT
        return pixels[:, top : top + side, left : left + side], part

    def batch(self) -> tuple[Tensor, Tensor, int]:
        """Pixels, latents, and the width of the rim that does not count."""
        if self.rng.random() < WHOLE_SHARE:
            _, pixels, latents = self.draw(loose=self.rng.random() < LOOSE_SHARE)
            return pixels[None], latents[None], 0
        windows = [self.window() for _ in range(WINDOWS)]
        return torch.stack([a for a, _ in windows]), torch.stack([b for _, b in windows]), RIM


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--noise", type=float, default=0.15, help="deviation added to latents")
    arguments = parser.parse_args()
    vae = AutoencoderKL.from_pretrained(VAE_RUN / "model").to(device())
    pictures = Pictures(vae, random.SystemRandom().randrange(2**32))
    decoder = vae.decoder
    session = Session(RUN, arguments.minutes, decoder, make_optimisers(decoder), decay=0.995)
    errors: list[Tensor] = []
    while not session.finished:
        pixels, latents, rim = pictures.batch()
        noisy = latents + arguments.noise * torch.randn_like(latents)
        inner = (..., slice(rim, pixels.shape[-2] - rim), slice(rim, pixels.shape[-1] - rim))
        loss, error = redrawing_loss(decoder(noisy)[inner], pixels.to(device())[inner])
        session.advance(loss)
        errors.append(error)
        if session.step % 50 == 0:
            mean = decibels(torch.stack(errors[-50:]).mean())
            print(f"{session.step} {session.elapsed:.0f} s, PSNR {mean:.2f} dB", flush=True)
    session.save()


if __name__ == "__main__":
    main()
