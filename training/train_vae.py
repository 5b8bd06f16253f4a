"""Train the picture autoencoder: `python -m training.train_vae --minutes 15`.

Run it again with the same command to go on after an interruption.
"""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional

from training.models import make_vae
from training.muon import Muon
from training.scenes import sample_scene
from training.session import SHIPPED, Session, device, fast_precision
from training.world import CELL, boxes, render

RUN = Path(__file__).with_name("runs") / "vae"
POOL = 1200  # pictures held in memory
CROP, CROPS, WHOLE = 64, 12, 1  # crop side in pixels, crops a batch, or whole pictures a batch
WHOLE_SHARE = 0.5  # of batches: the norms see other statistics in a crop than in a whole picture
KL_WEIGHT = 1e-3
GENTLE = 0.25  # of the learning rates, for weights that are trained already


class Pool:
    """Square training pictures, uint8 (n, 3, 256, 256), and where in each there is something."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        scenes = [sample_scene(rng, held_out=False, square=1.0) for _ in range(POOL)]
        shifts = [self._shift() for _ in scenes]
        drawn = np.stack([render(s, shift) for s, shift in zip(scenes, shifts, strict=True)])
        self.pictures = torch.from_numpy(drawn).permute(0, 3, 1, 2).contiguous()
        self.boxes = [boxes(scene) for scene in scenes]

    def _shift(self) -> tuple[int, int]:
        """Some pictures off the grid, so that pictures given by users survive as well."""
        if self.rng.random() < 0.7:
            return (0, 0)
        return (self.rng.randint(-24, 24), self.rng.randint(-24, 24))

    def whole(self) -> Tensor:
        return self.pictures[torch.randint(0, POOL, (WHOLE,))]

    def crops(self) -> Tensor:
        """Crops that touch an object, mostly on the grid of the latents."""
        crops = []
        for index in torch.randint(0, POOL, (CROPS,)).tolist():
            box = self.rng.choice(self.boxes[index])
            side = box.cells * CELL
            grid = 16 if self.rng.random() < 0.7 else 1
            x, y = (
                min(
                    max(0, start * CELL + self.rng.randint(-CROP // 2, side - CROP // 2)),
                    256 - CROP,
                )
                for start in (box.column, box.row)
            )
            x, y = x - x % grid, y - y % grid
            crops.append(self.pictures[index, :, y : y + CROP, x : x + CROP])
        return torch.stack(crops)

    def batch(self) -> Tensor:
        """float32 (n, 3, side, side) in -1..1; a few blends widen the range of colours."""
        drawn = self.whole() if self.rng.random() < WHOLE_SHARE else self.crops()
        pictures = drawn.float() / 127.5 - 1
        blended = len(pictures) // 8
        share = torch.rand(blended, 1, 1, 1)
        pictures[:blended] = pictures[:blended].lerp(pictures[-blended:].clone(), share)
        return pictures


def gradients(pictures: Tensor) -> tuple[Tensor, Tensor]:
    return pictures.diff(dim=-1), pictures.diff(dim=-2)


def redrawing_loss(redrawn: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """How far pixels and edges are from the picture, and the mean squared error alone."""
    error = functional.mse_loss(redrawn, pictures)
    edges = sum(
        functional.l1_loss(a, b)
        for a, b in zip(gradients(redrawn), gradients(pictures), strict=True)
    )
    return functional.l1_loss(redrawn, pictures) + error + edges, error.detach()


def loss_of(vae: AutoencoderKL, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The training loss and the mean squared error of the reconstruction."""
    with fast_precision():
        posterior = vae.encode(pictures).latent_dist
        redrawn = vae.decode(posterior.sample()).sample
    loss, error = redrawing_loss(redrawn.float(), pictures)
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    return loss + KL_WEIGHT * kl, error


def make_optimisers(module: nn.Module, pace: float = 1.0) -> list[torch.optim.Optimizer]:
    """Muon for the wide convolutions, AdamW for everything else; `pace` scales their rates."""
    wide = [p for p in module.parameters() if p.ndim == 4 and min(p.shape[:2]) >= 16]
    taken = {id(p) for p in wide}
    rest = [p for p in module.parameters() if id(p) not in taken]
    return [
        Muon(wide, lr=4e-3 * pace),
        torch.optim.AdamW(rest, lr=2e-3 * pace, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def decibels(error: Tensor) -> float:
    """PSNR of a mean squared error over -1..1."""
    return float(10 * torch.log10(4 / error))


@torch.no_grad()
def finish(vae: AutoencoderKL, pool: Pool) -> None:
    """Measure the latents' mean and deviation into the config, print the PSNR and save."""
    pictures = pool.pictures[:96].float() / 127.5 - 1
    parts = [vae.encode(part.to(vae.device)).latent_dist.mean for part in torch.split(pictures, 16)]
    latents = torch.cat(parts)
    shift, deviation = latents.mean().item(), latents.std().item()
    vae.register_to_config(scaling_factor=1 / deviation, shift_factor=shift)
    redrawn = torch.cat([vae.decode(part).sample for part in torch.split(latents, 16)]).clamp(-1, 1)
    error = functional.mse_loss(redrawn.cpu(), pictures)
    print(f"latents {shift:.3f} +- {deviation:.3f}, PSNR {decibels(error):.2f} dB")
    vae.save_pretrained(RUN / "model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--from-shipped", action="store_true", help="start from the shipped one")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    pool = Pool(random.Random(1))
    vae = make_vae()
    if arguments.from_shipped:
        vae.load_state_dict(AutoencoderKL.from_pretrained(SHIPPED / "vae").float().state_dict())
    vae.to(device())
    pace = GENTLE if arguments.from_shipped else 1.0
    session = Session(RUN, arguments.minutes, vae, make_optimisers(vae, pace), decay=0.995)
    while not session.finished:
        loss, error = loss_of(vae, pool.batch().to(device()))
        session.advance(loss)
        if session.step % 50 == 0:
            print(
                f"{session.step} {session.elapsed:.0f} s, loss {loss.item():.4f}, "
                f"PSNR {decibels(error):.2f} dB",
                flush=True,
            )
    session.save()
    session.average.copy_to(vae)
    finish(vae.eval(), pool)


if __name__ == "__main__":
    main()
