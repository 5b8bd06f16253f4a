"""Draw and encode the transformer's training scenes once: `... encode_latents --parts 12`.

Writes `latents/part-*.pt`, each of a thousand scenes. Run it again, while the transformer trains or
before, to add more; parts that exist are kept.
"""

from __future__ import annotations

import argparse
import os
import random
from collections import defaultdict
from dataclasses import asdict
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.second.chunks import RUN, Ending
from training.second.pictures import LOOSE_SHIFT, scaled
from training.second.render import render
from training.second.scene import Ground, Item, Scene
from training.second.scenes import Mix, sample_scene
from training.session import device, replace_file

FOLDER = RUN / "latents"
VAE = RUN / "vae" / "model"
PART = 1000  # scenes a file
MIX = Mix(related=0.4)  # several items are harder to learn than their share of the world
LOOSE_SHARE = 0.12  # of scenes off the grid, for pictures given by users


def scene_from(record: dict[str, Any]) -> Scene:
    """The inverse of `dataclasses.asdict`."""
    items = tuple(Item(**item) for item in record["items"])
    return Scene(**{**record, "items": items, "ground": Ground(**record["ground"])})


@torch.no_grad()
def encode_picture(vae: AutoencoderKL, picture: np.ndarray) -> Tensor:
    """Scaled latents, float16 (channels, height / 32, width / 32), of a uint8 picture."""
    drawn = torch.from_numpy(picture).permute(2, 0, 1)[None]
    mean = vae.encode(scaled(drawn).to(vae.device)).latent_dist.mean[0]
    latents: Tensor = (mean - vae.config.shift_factor) * vae.config.scaling_factor
    return latents.half().cpu()


def make_part(vae: AutoencoderKL, rng: random.Random) -> list[dict[str, object]]:
    """One record for each picture size: latents, scenes, and whether each stands off the grid."""
    groups: dict[tuple[int, int], list[tuple[Scene, bool, Tensor]]] = defaultdict(list)
    for _ in range(PART):
        scene = sample_scene(rng, held_out=False, mix=MIX)
        loose = rng.random() < LOOSE_SHARE
        reach = LOOSE_SHIFT if loose else 0
        shift = (rng.randint(-reach, reach), rng.randint(-reach, reach))
        latents = encode_picture(vae, render(scene, shift))
        groups[scene.width, scene.height].append((scene, loose, latents))
    return [
        {
            "latents": torch.stack([latents for _, _, latents in members]),
            "scenes": [asdict(scene) for scene, _, _ in members],
            "loose": torch.tensor([loose for _, loose, _ in members]),
        }
        for members in groups.values()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=12)
    parts = parser.parse_args().parts
    ending = Ending(FOLDER)
    vae = AutoencoderKL.from_pretrained(VAE).eval().to(device())
    vae.to(memory_format=torch.channels_last)
    for index in range(parts):
        path = FOLDER / f"part-{index:03}.pt"
        if not path.exists() and not ending:
            replace_file(make_part(vae, random.Random(index)), path)
            print(f"{path.name} written", flush=True)


if __name__ == "__main__":
    main()
