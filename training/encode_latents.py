"""Draw and encode the transformer's training scenes once: `python -m training.encode_latents`.

Writes `runs/latents/part-*.pt`, each with up to a thousand scenes. Run it again, while the
transformer trains or before, to add more; parts that exist are kept.
"""

from __future__ import annotations

import argparse
import os
import random
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.scenes import sample_scene
from training.session import device, fast_precision, replace_file
from training.train_vae import RUN as VAE_RUN
from training.world import Item, Scene, render

RUN = Path(__file__).with_name("runs") / "latents"
PART = 1000  # scenes a file
PAIRS = 0.35  # of scenes: two items are harder to learn than their share of the world
LOOSE_SHARE = 0.12  # of scenes off the grid, for pictures given by users
LOOSE_SHIFT = 24  # pixels
BATCH = 8


def scene_from(record: dict[str, Any]) -> Scene:
    """The inverse of `dataclasses.asdict`."""
    return Scene(**{**record, "items": tuple(Item(**item) for item in record["items"])})


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: list[np.ndarray]) -> Tensor:
    """Scaled latents, float16 (n, channels, height / 16, width / 16), of pictures of one size."""
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(vae.device)
    with fast_precision():
        means = [
            vae.encode(part.float() / 127.5 - 1).latent_dist.mean
            for part in torch.split(pixels, BATCH)
        ]
    shifted = torch.cat(means).float() - vae.config.shift_factor
    latents: Tensor = shifted * vae.config.scaling_factor
    return latents.half().cpu()


def make_part(vae: AutoencoderKL, rng: random.Random) -> list[dict[str, object]]:
    """One record for each picture size: latents, scenes, and whether each stands off the grid."""
    groups: dict[tuple[int, int], list[tuple[Scene, bool]]] = defaultdict(list)
    for _ in range(PART):
        scene = sample_scene(rng, held_out=False, pairs=PAIRS)
        groups[(scene.width, scene.height)].append((scene, rng.random() < LOOSE_SHARE))
    records: list[dict[str, object]] = []
    for members in groups.values():
        drawn = []
        for scene, loose in members:
            reach = LOOSE_SHIFT if loose else 0
            drawn.append(render(scene, (rng.randint(-reach, reach), rng.randint(-reach, reach))))
        records.append(
            {
                "latents": encode(vae, drawn),
                "scenes": [asdict(scene) for scene, _ in members],
                "loose": torch.tensor([loose for _, loose in members]),
            }
        )
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=10)
    vae = AutoencoderKL.from_pretrained(VAE_RUN / "model").eval().to(device())
    for index in range(parser.parse_args().parts):
        path = RUN / f"part-{index:03}.pt"
        if not path.exists():
            replace_file(make_part(vae, random.Random(index)), path)
            print(f"{path.name} written", flush=True)


if __name__ == "__main__":
    main()
