"""Train transformer and text encoder: `python -m training.train_transformer --minutes 100`.

Needs `training.train_text` and the latents of `training.encode_latents`. Run it again with the same
command to go on after an interruption. The target is the velocity from noise to picture (Lipman et
al. 2022).
"""

from __future__ import annotations

import argparse
import os
import random
from collections import defaultdict, deque
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from diffusers import ZImageTransformer2DModel
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from training.encode_latents import RUN as LATENTS
from training.encode_latents import scene_from
from training.forward import Layout, use_real_attention, velocity
from training.models import make_transformer
from training.muon import Muon
from training.scenes import SQUARE_SHARE
from training.session import SHIPPED, Session, computes_bfloat16, device, in_bfloat16
from training.tokenizer import make_tokenizer
from training.train_text import RUN as TEXT
from training.train_text import Heads, answers, caption_tokens, make_reader, reading_loss
from training.world import BUCKETS, Scene

RUN = Path(__file__).with_name("runs") / "transformer"
BATCH = 48
SHIFT = 3.0  # of the noise schedule, as in the scheduler
NOISY_FROM, NOISY_TO = 0.7, 1.1  # of the schedule: its noisy end, a quarter of it at pure noise
READING_WEIGHT = 0.02
LOOSE_LIMIT = 0.8  # scenes off the grid are learnt only up to this noise
RESCAN_STEPS = 100  # how often new latents are looked for
ORTHOGONAL = ("attention.to_", "feed_forward", "self_attn", "mlp.")


class Model(nn.Module):
    """Transformer and text encoder as one, without the text encoder's unread last layer.

    The heads keep the text encoder reading while it learns to serve the transformer.
    """

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.transformer = make_transformer()
        self.text = make_reader(vocabulary)
        self.heads = Heads()
        initialise(self.transformer)
        use_real_attention(self.transformer)

    @property
    def dtype(self) -> torch.dtype:
        """Of the transformer's weights."""
        weight: Tensor = self.transformer.x_pad_token
        return weight.dtype

    def load_reader(self) -> None:
        """Start from the text encoder of `training.train_text`."""
        saved = torch.load(TEXT / "checkpoint.pt", map_location="cpu", weights_only=True)["average"]
        loaded = self.load_state_dict(saved, strict=False)
        assert not loaded.unexpected_keys

    def load_shipped(self) -> None:
        """Start from the shipped transformer."""
        folder = SHIPPED / "transformer"
        weights = load_file(folder / "diffusion_pytorch_model.safetensors")
        self.transformer.load_state_dict({name: w.float() for name, w in weights.items()})

    def forward(
        self, patches: Tensor, time: Tensor, tokens: Tensor, known: Tensor, layout: Layout
    ) -> tuple[Tensor, list[Tensor]]:
        """The velocity as patches, and the logits of the reading."""
        return self._compiled(patches, time, tokens, known, layout.blank, layout.angles)

    @torch.compile(dynamic=False)
    def _compiled(
        self,
        patches: Tensor,
        time: Tensor,
        tokens: Tensor,
        known: Tensor,
        blank: Tensor,
        angles: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        captions = self.text(input_ids=tokens).last_hidden_state
        predicted = velocity(self.transformer, patches, time, captions, known, blank, angles)
        return predicted, self.heads(captions, known)


def initialise(transformer: nn.Module) -> None:
    """Xavier weights, a silent output, and gates half open: tanh(0) would keep blocks shut."""
    for name, weight in transformer.named_parameters():
        if name.endswith("pad_token"):
            nn.init.normal_(weight, std=0.02)
        elif "adaLN_modulation" in name or "all_final_layer" in name:
            nn.init.zeros_(weight)
        elif weight.ndim == 2:
            nn.init.xavier_uniform_(weight)
        if "adaLN_modulation.0.bias" in name:
            _, attention_gate, _, feed_forward_gate = weight.data.chunk(4)
            attention_gate.fill_(0.5)
            feed_forward_gate.fill_(0.5)


@dataclass
class Group:
    """All encoded scenes of one picture size."""

    latents: Tensor
    scenes: list[Scene]
    loose: Tensor


@dataclass
class Batch:
    """Scenes of one size.

    clean: latents (n, channels, height, width). tokens, known: (n, CAPTION_TOKENS), known is false
    for padding. answers: (n, questions). loose: (n,), whether off the grid.
    """

    clean: Tensor
    tokens: Tensor
    known: Tensor
    answers: Tensor
    loose: Tensor


class Layouts(dict[torch.Size, Layout]):
    """The layout of each size of latents, made when first asked for."""

    def __init__(self, transformer: ZImageTransformer2DModel) -> None:
        self.transformer = transformer

    def __missing__(self, size: torch.Size) -> Layout:
        self[size] = Layout(self.transformer, *size)
        return self[size]


class Data:
    """The encoded scenes, described anew each time that they are drawn."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.tokenizer = make_tokenizer()
        self.parts: set[Path] = set()
        self.groups: dict[tuple[int, int], Group] = {}
        self.scan()

    def scan(self) -> None:
        """Take in the parts written since the last time."""
        new = sorted(set(LATENTS.glob("part-*.pt")) - self.parts)
        found: dict[tuple[int, int], list[Group]] = defaultdict(list)
        for path in new:
            for record in torch.load(path, weights_only=True):
                scenes = [scene_from(entry) for entry in record["scenes"]]
                size = (scenes[0].width, scenes[0].height)
                found[size].append(Group(record["latents"], scenes, record["loose"]))
        for size, groups in found.items():
            if size in self.groups:
                groups.insert(0, self.groups[size])
            self.groups[size] = Group(
                torch.cat([group.latents for group in groups]),
                [scene for group in groups for scene in group.scenes],
                torch.cat([group.loose for group in groups]),
            )
        self.parts.update(new)
        if not self.groups:
            raise SystemExit(f"no latents in {LATENTS}: run python -m training.encode_latents")

    def batch(self) -> Batch:
        """Scenes of one size."""
        size = BUCKETS[0] if self.rng.random() < SQUARE_SHARE else self.rng.choice(BUCKETS[1:])
        group = self.groups[size]
        chosen = [self.rng.randrange(len(group.scenes)) for _ in range(BATCH)]
        scenes = [group.scenes[index] for index in chosen]
        tokens = torch.tensor([caption_tokens(self.tokenizer, one, self.rng) for one in scenes])
        return Batch(
            clean=group.latents[chosen].float(),
            tokens=tokens,
            known=tokens != self.tokenizer.pad_token_id,
            answers=torch.tensor([answers(one) for one in scenes]),
            loose=group.loose[chosen],
        )


def sigmas(loose: Tensor) -> Tensor:
    """Noise levels: half of them spread evenly over the schedule, half at its noisy end.

    There, some of them at pure noise, the prompt alone tells what is to come, and what is drawn
    is decided. Pictures off the grid, whose place no prompt tells, are spared it.
    """
    even = (torch.arange(len(loose)) + torch.rand(len(loose))) / len(loose)
    noisy = (NOISY_FROM + (NOISY_TO - NOISY_FROM) * even).clamp(max=1)
    level = torch.where((torch.arange(len(loose)) % 2 == 0) & ~loose, noisy, even)
    highest = torch.where(loose, LOOSE_LIMIT / (SHIFT - (SHIFT - 1) * LOOSE_LIMIT), 1.0)
    level = level * highest
    return SHIFT * level / (1 + (SHIFT - 1) * level)


def loss_of(model: Model, batch: Batch, layouts: Layouts) -> tuple[Tensor, Tensor]:
    """What is minimised, and the error of the velocity alone."""
    sigma = sigmas(batch.loose)
    noise = torch.randn_like(batch.clean)
    wide = sigma[:, None, None, None]
    layout = layouts[batch.clean.shape[-2:]]
    noisy = layout.patches((1 - wide) * batch.clean + wide * noise)
    here = device()
    inputs = (noisy.to(model.dtype), 1 - sigma, batch.tokens, batch.known)
    predicted, logits = model(*(tensor.to(here) for tensor in inputs), layout)
    target = (batch.clean - noise).to(here)
    error = functional.mse_loss(layout.latents(predicted.float()), target)
    reading = reading_loss(logits, batch.answers.to(here))
    return error + READING_WEIGHT * reading, error.detach()


def make_optimisers(model: nn.Module) -> list[torch.optim.Optimizer]:
    chosen = {
        name: weight
        for name, weight in model.named_parameters()
        if weight.ndim == 2 and any(part in name for part in ORTHOGONAL)
    }
    rest = [weight for name, weight in model.named_parameters() if name not in chosen]
    return [
        Muon(chosen.values(), lr=3.5e-3),
        torch.optim.AdamW(rest, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument("--from-shipped", action="store_true", help="start from the shipped one")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32)  # a run that goes on draws anew
    torch.manual_seed(seed)
    data = Data(seed)
    torch.manual_seed(0)
    model = Model(len(data.tokenizer)).to(device())
    model.load_reader()
    if arguments.from_shipped:
        model.load_shipped()
    torch.manual_seed(seed)
    worker = in_bfloat16(model) if computes_bfloat16() else model
    session = Session(
        RUN, arguments.minutes, model, make_optimisers(model), decay=0.999, worker=worker
    )
    layouts = Layouts(model.transformer)
    errors: deque[float] = deque(maxlen=50)
    while not session.finished:
        loss, error = loss_of(worker, data.batch(), layouts)
        session.advance(loss)
        errors.append(error.item())
        if session.step % 50 == 0:
            mean = sum(errors) / len(errors)
            reading = (loss - error).item() / READING_WEIGHT
            print(
                f"{session.step} {session.elapsed:.0f} s, error {mean:.4f}, reading {reading:.3f}",
                flush=True,
            )
        if session.step % RESCAN_STEPS == 0:
            data.scan()
    session.save()


if __name__ == "__main__":
    main()
