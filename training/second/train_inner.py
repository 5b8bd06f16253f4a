"""Put a code of 32 pixels a latent into the outer autoencoder: `... train_inner --minutes 25`.

The outer encoder's features at a sixteenth of the size go in, the features that its decoder makes
of them are to come out, and between them a smaller code. No pixel is drawn, so a step costs a
hundredth of one on pictures. At the end the whole is written for `train_vae` to go on with.
"""

from __future__ import annotations

import argparse
import os
import random

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor, nn
from torch.nn import functional

from training.second.chunks import RUN, Ending
from training.second.models import make_vae
from training.second.pictures import Pool, scaled
from training.session import Session, device
from training.train_vae import make_optimisers

FOLDER = RUN / "inner"
OUTER = RUN / "outer" / "model"
POOL = 400  # pictures whose features are held
BATCH = 4
KL_WEIGHT = 1e-3
OUTER_STAGES = 5


def nested(outer: AutoencoderKL) -> AutoencoderKL:
    """A whole autoencoder whose outer stages are those of `outer`, the rest new."""
    whole = make_vae()
    state = whole.state_dict()
    for name, weight in outer.state_dict().items():
        kept = name.startswith(("encoder.conv_in", "decoder.conv_norm_out", "decoder.conv_out"))
        moved = name
        if name.startswith("decoder.up_blocks."):
            _, _, number, rest = name.split(".", 3)
            moved = f"decoder.up_blocks.{int(number) + 1}.{rest}"
            kept = (number, rest.split(".")[:2]) != ("0", ["resnets", "0"])  # its input is new
        if kept or name.startswith("encoder.down_blocks."):
            assert state[moved].shape == weight.shape
            state[moved] = weight
    whole.load_state_dict(state)
    return whole


@torch.no_grad()
def features(outer: AutoencoderKL, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """What goes in and what is to come out, each (n, 96, height / 16, width / 16)."""
    encoder, decoder = outer.encoder, outer.decoder
    seen = encoder.conv_in(pictures)
    for block in encoder.down_blocks:
        seen = block(seen)
    coded = encoder.conv_out(encoder.conv_act(encoder.conv_norm_out(encoder.mid_block(seen))))
    latents = DiagonalGaussianDistribution(coded).mean
    drawn = decoder.mid_block(decoder.conv_in(latents))
    for resnet in decoder.up_blocks[0].resnets:
        drawn = resnet(drawn, None)
    return seen, drawn


class Inner(nn.Module):
    """The whole's stages between the outer features."""

    def __init__(self, whole: AutoencoderKL) -> None:
        super().__init__()
        encoder, decoder = whole.encoder, whole.decoder
        self.down = encoder.down_blocks[OUTER_STAGES - 1].downsamplers[0]
        self.deepest = encoder.down_blocks[OUTER_STAGES]
        self.mid = encoder.mid_block
        self.out = nn.Sequential(encoder.conv_norm_out, encoder.conv_act, encoder.conv_out)
        self.into = decoder.conv_in
        self.mid_up = decoder.mid_block
        self.up = decoder.up_blocks[0]
        self.last = decoder.up_blocks[1].resnets

    def forward(self, seen: Tensor) -> tuple[Tensor, DiagonalGaussianDistribution]:
        """The features redrawn, and the distribution of the code."""
        posterior = DiagonalGaussianDistribution(self.out(self.mid(self.deepest(self.down(seen)))))
        drawn = self.up(self.mid_up(self.into(posterior.sample())))
        for resnet in self.last:
            drawn = resnet(drawn, None)
        return drawn, posterior


class Features:
    """Outer features of a pool of pictures that is renewed as it is used."""

    def __init__(self, outer: AutoencoderKL, seed: int) -> None:
        self.outer = outer
        self.pool = Pool(1, seed)
        self.held: list[tuple[Tensor, Tensor]] = []

    def renew(self) -> None:
        self.pool.renew()
        seen, drawn = features(self.outer, scaled(self.pool.whole(1)).to(device()))
        self.held.append((seen.bfloat16(), drawn.bfloat16()))
        del self.held[:-POOL]

    def batch(self, rng: random.Random) -> tuple[Tensor, Tensor]:
        chosen = [rng.choice(self.held) for _ in range(BATCH)]
        return (
            torch.cat([seen for seen, _ in chosen]).float(),
            torch.cat([drawn for _, drawn in chosen]).float(),
        )


def loss_of(inner: Inner, seen: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """What is minimised, and the share of the features' variance that is missed."""
    drawn, posterior = inner(seen)
    spread = wanted.std(dim=(0, 2, 3), keepdim=True) + 1e-3
    missed = functional.mse_loss(drawn / spread, wanted / spread)
    near = functional.l1_loss(drawn / spread, wanted / spread)
    mean, logvar = posterior.mean, posterior.logvar
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    return missed + near + KL_WEIGHT * kl, missed.detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=25)
    arguments = parser.parse_args()
    ending = Ending(FOLDER)
    torch.manual_seed(0)
    outer = AutoencoderKL.from_pretrained(OUTER).eval().to(device())
    whole = nested(outer).to(device(), memory_format=torch.channels_last)
    inner = Inner(whole)
    session = Session(FOLDER, arguments.minutes, inner, make_optimisers(inner), decay=0.995)
    rng = random.Random()
    held = Features(outer, rng.randrange(2**32))
    for _ in range(3 * BATCH):
        held.renew()
    while not session.finished and not ending:
        if session.step % 2 == 0:
            held.renew()
        loss, missed = loss_of(inner, *held.batch(rng))
        session.advance(loss)
        if session.step % 50 == 0:
            told = f"loss {loss.item():.4f}, missed {missed.item():.4f}"
            print(f"{session.step} {session.elapsed:.0f} s, {told}", flush=True)
    session.save()
    session.average.copy_to(inner)
    whole.save_pretrained(FOLDER / "model")


if __name__ == "__main__":
    main()
