"""Teach the second model a style: `... train_style --style night --minutes 10`.

A low-rank adapter on the frozen model learns scenes as `styles_world` draws them. Ends by writing
what the application loads, into the model's folder, and a sheet of unseen prompts. Run it again
with the same command to go on; another model under it begins anew.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
from collections import defaultdict, deque
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from diffusers import ZImagePipeline
from PIL import Image
from torch import Tensor

from deployments.diffusion.families import ZImage
from deployments.diffusion.profile import ModelSource
from deployments.diffusion.request.params import Worn
from deployments.diffusion.styles.adapters import Adapter, Adapters
from deployments.diffusion.weights import SharedComponents
from training.models import make_scheduler
from training.second.captions import caption_batch
from training.second.chunks import RUN, Ending
from training.second.encode_latents import LOOSE_SHARE, encode_picture
from training.second.evaluate import cases, draw
from training.second.pictures import LOOSE_SHIFT
from training.second.scene import Scene
from training.second.scenes import sample_scene
from training.second.styles_world import STYLES, render_in
from training.session import Session
from training.train_style import Teacher, export, lora_tensors, named_layers, silent_adapter

FOLDER = RUN / "styles"
SQUARE_SHARE = 0.6
CAPTION = 32  # tokens
BATCH = 12
FIRST_SCENES = 240  # encoded before the first step; one more comes with each
LEARNING_RATE = 2e-3
SHOWN = 6  # pictures a row of the sheet
SHOWN_SEED = 7


def model_of(folder: Path) -> ZImage:
    """An exported model as the application loads it, in float32, without styles."""
    source = ModelSource(source=str(folder), dtype="float32", device="auto")
    return ZImage(SharedComponents.load(source), max_prompt_tokens=512)


def fingerprint(folder: Path) -> str:
    """Of the weights that the adapter is trained on."""
    digest = hashlib.sha256()
    for part in ("transformer", "text_encoder", "vae"):
        for path in sorted((folder / part).glob("*.safetensors")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class Pool:
    """Scenes drawn in the style, as latents; it grows while the training runs."""

    def __init__(self, style: str, components: SharedComponents, rng: random.Random) -> None:
        self.style = style
        self.vae = components.modules["vae"]
        self.tokenizer = components.tokenizers["tokenizer"]
        self.rng = rng
        self.groups: dict[tuple[int, int], list[tuple[Tensor, Scene, bool]]] = defaultdict(list)
        for _ in range(FIRST_SCENES):
            self.grow()

    def grow(self) -> None:
        """One more scene, some off the grid."""
        scene = sample_scene(self.rng, held_out=False)
        loose = self.rng.random() < LOOSE_SHARE
        reach = LOOSE_SHIFT if loose else 0
        shift = (self.rng.randint(-reach, reach), self.rng.randint(-reach, reach))
        latents = encode_picture(self.vae, render_in(self.style, scene, shift)).float()
        self.groups[(scene.width, scene.height)].append((latents, scene, loose))

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Clean latents (BATCH, ...), tokens (BATCH, CAPTION), whether off the grid."""
        square, *others = sorted(self.groups, key=lambda size: size[0] != size[1])
        size = square if self.rng.random() < SQUARE_SHARE else self.rng.choice(others)
        chosen = self.rng.choices(self.groups[size], k=BATCH)
        scenes = [scene for _, scene, _ in chosen]
        tokens, _ = caption_batch(self.tokenizer, scenes, self.rng, CAPTION)
        loose = torch.tensor([loose for _, _, loose in chosen])
        return torch.stack([latents for latents, _, _ in chosen]), tokens, loose


def train(style: str, folder: Path, minutes: float) -> dict[str, Tensor]:
    """The trained adapter by the names of a LoRA file, float16."""
    seed = random.SystemRandom().randrange(2**32)  # a run that goes on draws anew
    model = model_of(folder)
    layers = named_layers(model)
    torch.manual_seed(0)
    adapter: Adapter = silent_adapter(layers)
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(
        adapter.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0
    )
    teacher = Teacher(model.components)
    pool = Pool(style, model.components, random.Random(seed))
    place = FOLDER / style.replace(" ", "-") / fingerprint(folder)
    ending = Ending(FOLDER)
    session = Session(place, minutes, adapter, [optimiser], decay=0.98)
    adapters = Adapters()
    adapters.add(style, adapter)
    losses: deque[float] = deque(maxlen=50)
    with adapters.worn([(Worn(style, 1.0),)] * BATCH):
        while not session.finished and not ending:
            loss = teacher.loss(*pool.batch())
            session.advance(loss)
            losses.append(loss.item())
            pool.grow()
            if session.step % 25 == 0:
                mean = sum(losses) / len(losses)
                print(f"{session.step} {session.elapsed:.0f} s, loss {mean:.4f}", flush=True)
    session.save()
    session.average.copy_to(adapter)
    return lora_tensors(layers, adapter)


def sheet(style: str, folder: Path, tensors: dict[str, Tensor]) -> Image.Image:
    """Unseen prompts in three rows: the model itself, in the style, as the style wants them."""
    model = model_of(folder)
    layers = named_layers(model)
    adapter = silent_adapter(layers)
    for name, update in zip(layers, adapter.updates, strict=True):
        update.down.data = tensors[f"transformer.{name}.lora_A.weight"].float()
        update.up.data = tensors[f"transformer.{name}.lora_B.weight"].float()
    adapters = model.components.adapters
    adapters.add(style, adapter)
    pipeline = ZImagePipeline(
        **model.components.modules,
        tokenizer=model.components.tokenizers["tokenizer"],
        scheduler=make_scheduler(),
    )
    pipeline.set_progress_bar_config(disable=True)
    every = cases(8 * SHOWN, SHOWN_SEED)
    square = [case for case in every if case.scene.width == case.scene.height and not case.is_long]
    asked = square[:SHOWN]
    plain = draw(pipeline, asked)
    with adapters.worn([(Worn(style, 1.0),)] * len(asked)):
        styled = draw(pipeline, asked)
    wanted = [render_in(style, case.scene) for case in asked]
    apart = np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(styled, wanted, strict=True)])
    print(f"mean difference from what the style wants: {apart:.1f} grey levels")
    rows = (plain, styled, wanted)
    return Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in rows]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", choices=STYLES, required=True)
    parser.add_argument("--model", type=Path, default=RUN / "model")
    parser.add_argument("--minutes", type=float, default=10)
    arguments = parser.parse_args()
    tensors = train(arguments.style, arguments.model, arguments.minutes)
    name = arguments.style.replace(" ", "-")
    path = arguments.model / "styles" / f"{name}.safetensors"
    print(f"{export(tensors, path) / 1e6:.2f} MB in {path}")
    sheet(arguments.style, arguments.model, tensors).save(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
