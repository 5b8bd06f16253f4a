"""How well an autoencoder redraws the second world: `... evaluate_vae --model FOLDER`.

Prints the PSNR over held-out pictures of every size, the median 10 to 90 % rise of edges beside the
truth's, and both for each ground; writes a sheet of pictures beside their copies. Reads the shipped
model's autoencoder as well, which is how the first one is told beside the second.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch.nn import functional

from training.second.chunks import RUN, THREADS
from training.second.pictures import scaled
from training.second.render import render
from training.second.scenes import sample_scene
from training.second.sharpness import rises
from training.train_vae import decibels

SHOWN = 6  # pictures of the sheet
TILE = 512  # pixels


@torch.no_grad()
def redraw(vae: AutoencoderKL, picture: np.ndarray) -> tuple[np.ndarray, float]:
    """What the autoencoder makes of a uint8 (height, width, 3) picture, and its squared error."""
    pixels = scaled(torch.from_numpy(picture).permute(2, 0, 1)[None])
    drawn = vae.decode(vae.encode(pixels).latent_dist.mean).sample.clamp(-1, 1)
    error = functional.mse_loss(drawn, pixels).item()
    copy = ((drawn[0].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8)
    return copy.numpy(), error


def sheet(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Image.Image:
    """The middle of each picture beside its copy, at full size, two pairs a row."""
    canvas = Image.new("RGB", (4 * TILE, -(-len(pairs) // 2) * TILE), "white")
    for index, pair in enumerate(pairs):
        for side, picture in enumerate(pair):
            place = ((index % 2 * 2 + side) * TILE, index // 2 * TILE)
            canvas.paste(Image.fromarray(picture).crop((0, 0, TILE, TILE)), place)
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=RUN / "vae" / "model")
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--out", type=Path, default=RUN / "vae" / "sheet.png")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    vae = AutoencoderKL.from_pretrained(arguments.model).float().eval()
    rng = random.Random(11)
    errors: dict[str, list[float]] = defaultdict(list)
    shown: dict[str, list[float]] = defaultdict(list)
    true: list[float] = []
    pairs = []
    for index in range(arguments.pictures):
        scene = sample_scene(rng, held_out=True)
        picture = render(scene)
        copy, error = redraw(vae, picture)
        of_copy, of_truth = rises(copy, picture)
        true += of_truth
        for group in ("all", scene.ground.kind):
            errors[group].append(error)
            shown[group] += of_copy
        if index < SHOWN:
            pairs.append((picture, copy))
    for group, values in errors.items():
        psnr = decibels(torch.tensor(values).mean())
        told = f"PSNR {psnr:.2f} dB, rise {np.median(shown[group] or [np.nan]):.2f} px"
        print(f"{group} ({len(values)}): {told}")
    print(f"the truth's rise: {np.median(true):.2f} px")
    sheet(pairs).save(arguments.out)


if __name__ == "__main__":
    main()
