"""Teach the shipped model a style: `python -m training.train_style --style night --minutes 8`.

A low-rank adapter on the frozen model learns scenes as `training.styles_world` draws them. Ends by
writing what the application loads and a sheet of unseen prompts. Run it again with the same command
to go on after an interruption; another model under it begins anew.
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
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.profile import EMBEDDED_MODEL, ModelSource, Style
from deployments.diffusion.request.params import Worn
from deployments.diffusion.styles.adapters import Adapter, Adapters
from deployments.diffusion.styles.reading import load_style
from deployments.diffusion.styles.updates import LowRank
from deployments.diffusion.weights.components import SharedComponents
from training.encode_latents import LOOSE_SHARE, LOOSE_SHIFT, encode
from training.evaluate import cases, draw
from training.models import make_scheduler
from training.scenes import SQUARE_SHARE, sample_scene
from training.session import Session, device, fast_precision
from training.styles_world import STYLES, render_in
from training.train_text import caption_tokens
from training.train_transformer import sigmas
from training.world import Scene

RUNS = Path(__file__).with_name("runs") / "styles"
RANK = 8
PARTS = ("attention.", "feed_forward.")  # of a block, that the adapter acts on
BATCH = 16
FIRST_SCENES = 320  # encoded before the first step; one more comes with each
LEARNING_RATE = 2e-3
SHOWN = 8  # pictures a row of the sheet
SHOWN_SEED = 7


def shipped_model() -> ZImage:
    """The embedded model as the application loads it, in float32, without styles."""
    source = ModelSource(source="embedded", dtype="float32")
    return ZImage(SharedComponents.load(source), max_prompt_tokens=64)


def fingerprint() -> str:
    """Of the weights that the adapter is trained on."""
    digest = hashlib.sha256()
    for part in ("transformer", "text_encoder", "vae"):
        for path in sorted((EMBEDDED_MODEL / part).glob("*.safetensors")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def named_layers(model: ZImage) -> dict[str, nn.Linear]:
    """The layers that the adapter acts on."""
    return {
        name: layer
        for name, layer in model.components.modules["transformer"].named_modules()
        if isinstance(layer, nn.Linear) and any(part in name for part in PARTS)
    }


def silent_adapter(layers: dict[str, nn.Linear]) -> Adapter:
    """Changes nothing yet: random `down`, zero `up`, both float32 and trainable."""
    return Adapter(
        {
            layer: LowRank(
                torch.randn(RANK, layer.in_features, device=layer.weight.device)
                / layer.in_features**0.5,
                torch.zeros(layer.out_features, RANK, device=layer.weight.device),
            )
            for layer in layers.values()
        }
    )


class Teacher:
    """Asks the shipped model for velocities in the style, and tells how wrong they are."""

    def __init__(self, components: SharedComponents) -> None:
        self.transformer = components.modules["transformer"]
        self.text = components.modules["text_encoder"]
        self.pad = components.tokenizers["tokenizer"].pad_token_id

    def loss(self, clean: Tensor, tokens: Tensor, loose: Tensor) -> Tensor:
        """The mean squared error of the velocities at random noise levels."""
        sigma = sigmas(loose)
        wide = sigma[:, None, None, None]
        noise = torch.randn_like(clean)
        noisy = ((1 - wide) * clean + wide * noise).to(device())
        with fast_precision():
            predicted = self.transformer(
                list(noisy.unsqueeze(2)),
                (1 - sigma).to(device()),
                self.captions(tokens.to(device())),
                return_dict=False,
            )[0]
        velocity = torch.stack(predicted).squeeze(2).float()
        return functional.mse_loss(velocity, (clean - noise).to(device()))

    @torch.no_grad()
    def captions(self, tokens: Tensor) -> list[Tensor]:
        """What the transformer reads of each row of tokens, padding left out."""
        read = self.text(input_ids=tokens, output_hidden_states=True).hidden_states[-2]
        return [row[known] for row, known in zip(read, tokens != self.pad, strict=True)]


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
        (latents,) = encode(self.vae, [render_in(self.style, scene, shift)]).float()
        self.groups[(scene.width, scene.height)].append((latents, scene, loose))

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Clean latents (BATCH, ...), tokens (BATCH, CAPTION_TOKENS), whether off the grid."""
        square, *others = sorted(self.groups, key=lambda size: size[0] != size[1])
        size = square if self.rng.random() < SQUARE_SHARE else self.rng.choice(others)
        chosen = self.rng.choices(self.groups[size], k=BATCH)
        tokens = [caption_tokens(self.tokenizer, scene, self.rng) for _, scene, _ in chosen]
        loose = torch.tensor([loose for _, _, loose in chosen])
        return torch.stack([latents for latents, _, _ in chosen]), torch.tensor(tokens), loose


def train(style: str, minutes: float) -> dict[str, Tensor]:
    """The trained adapter by the names of a LoRA file, float16."""
    seed = random.SystemRandom().randrange(2**32)  # a run that goes on draws anew
    model = shipped_model()
    layers = named_layers(model)
    torch.manual_seed(0)
    adapter = silent_adapter(layers)
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(
        adapter.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0
    )
    teacher = Teacher(model.components)
    pool = Pool(style, model.components, random.Random(seed))
    session = Session(RUNS / style / fingerprint(), minutes, adapter, [optimiser], decay=0.98)
    adapters = Adapters()
    adapters.add(style, adapter)
    losses: deque[float] = deque(maxlen=50)
    with adapters.worn([(Worn(style, 1.0),)] * BATCH):
        while not session.finished:
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


def lora_tensors(layers: dict[str, nn.Linear], adapter: Adapter) -> dict[str, Tensor]:
    """The adapter by the names of a LoRA file, float16."""
    tensors = {}
    for name, update in zip(layers, adapter.updates, strict=True):
        assert isinstance(update, LowRank)
        tensors[f"transformer.{name}.lora_A.weight"] = update.down.detach().half().cpu()
        tensors[f"transformer.{name}.lora_B.weight"] = update.up.detach().half().cpu()
    return tensors


def export(tensors: dict[str, Tensor], path: Path) -> int:
    """Write the file that the application loads, in one move; returns its bytes."""
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    partial.chmod(0o644)  # safetensors writes 0600, which other users' containers cannot read
    os.replace(partial, path)
    return path.stat().st_size


def sheet(style: str, path: Path) -> Image.Image:
    """Unseen prompts in three rows: the model itself, in the style, as the style wants them."""
    model = shipped_model()
    adapters = model.components.adapters
    source = Style(source="embedded", file=str(path.relative_to(EMBEDDED_MODEL)),
                   licence="own", description=style)  # fmt: skip
    adapter = load_style(source, model.styled_layers(), model.components.dtype)
    adapters.add(style, adapter.placed(model.components.device))
    pipeline = ZImagePipeline(
        **model.components.modules,
        tokenizer=model.components.tokenizers["tokenizer"],
        scheduler=make_scheduler(),
    )
    pipeline.set_progress_bar_config(disable=True)
    every = cases(4 * SHOWN, SHOWN_SEED)
    asked = [case for case in every if case.scene.width == case.scene.height][:SHOWN]
    plain = draw(pipeline, asked)
    with adapters.worn([(Worn(style, 1.0),)] * len(asked)):
        styled = draw(pipeline, asked)
    wanted = [render_in(style, case.scene) for case in asked]
    rows = (plain, styled, wanted)
    print(f"mean difference from what the style wants: {_apart(styled, wanted):.1f} grey levels")
    return Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in rows]))


def _apart(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    pairs = zip(some, others, strict=True)
    return float(np.mean([np.abs(a.astype(int) - b.astype(int)).mean() for a, b in pairs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", choices=STYLES, required=True)
    parser.add_argument("--minutes", type=float, default=8)
    arguments = parser.parse_args()
    path = EMBEDDED_MODEL / "styles" / f"{arguments.style}.safetensors"
    size = export(train(arguments.style, arguments.minutes), path)
    print(f"{size / 1e6:.2f} MB in {path}")
    shown = RUNS / f"{arguments.style}.png"
    sheet(arguments.style, path).save(shown)
    print(f"samples in {shown}")


if __name__ == "__main__":
    main()
