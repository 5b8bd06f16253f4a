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
from torch import Tensor, nn
from torch.nn import functional

from training.encode_latents import RUN as LATENTS
from training.encode_latents import scene_from
from training.forward import use_real_attention, velocity
from training.models import make_transformer
from training.muon import Muon
from training.scenes import SQUARE_SHARE
from training.session import Session, device
from training.tokenizer import make_tokenizer
from training.train_text import RUN as TEXT
from training.train_text import caption_tokens, make_reader
from training.world import BUCKETS, Scene

RUN = Path(__file__).with_name("runs") / "transformer"
BATCH = 32
SHIFT = 3.0  # of the noise schedule, as in the scheduler
LOOSE_LIMIT = 0.8  # scenes off the grid are learnt only up to this noise
RESCAN_STEPS = 100  # how often new latents are looked for
ORTHOGONAL = ("attention.to_", "feed_forward", "self_attn", "mlp.")


class Model(nn.Module):
    """Transformer and text encoder as one, without the text encoder's unread last layer."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.transformer = make_transformer()
        self.text = make_reader(vocabulary)
        initialise(self.transformer)
        use_real_attention(self.transformer)

    def load_reader(self) -> None:
        """Start from the text encoder of `training.train_text`."""
        saved = torch.load(TEXT / "checkpoint.pt", map_location="cpu", weights_only=True)["average"]
        self.text.load_state_dict(
            {name.removeprefix("text."): w for name, w in saved.items() if name.startswith("text.")}
        )

    def forward(self, latents: Tensor, time: Tensor, tokens: Tensor, known: Tensor) -> Tensor:
        captions = self.text(input_ids=tokens).last_hidden_state
        return velocity(self.transformer, latents, time, captions, known)


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

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Clean latents (BATCH, ...), tokens (BATCH, CAPTION_TOKENS), whether off the grid."""
        size = BUCKETS[0] if self.rng.random() < SQUARE_SHARE else self.rng.choice(BUCKETS[1:])
        group = self.groups[size]
        chosen = [self.rng.randrange(len(group.scenes)) for _ in range(BATCH)]
        tokens = torch.tensor(
            [caption_tokens(self.tokenizer, group.scenes[index], self.rng) for index in chosen]
        )
        return group.latents[chosen].float(), tokens, group.loose[chosen]


def sigmas(loose: Tensor) -> Tensor:
    """Noise levels spread evenly over the schedule, lower for pictures off the grid."""
    even = (torch.arange(len(loose)) + torch.rand(len(loose))) / len(loose)
    highest = torch.where(loose, LOOSE_LIMIT / (SHIFT - (SHIFT - 1) * LOOSE_LIMIT), 1.0)
    level = even * highest
    return SHIFT * level / (1 + (SHIFT - 1) * level)


def loss_of(model: Model, clean: Tensor, tokens: Tensor, loose: Tensor, pad: int) -> Tensor:
    sigma = sigmas(loose)
    noise = torch.randn_like(clean)
    wide = sigma[:, None, None, None]
    noisy = (1 - wide) * clean + wide * noise
    here = device()
    inputs = (noisy, 1 - sigma, tokens, tokens != pad)
    predicted = model(*(tensor.to(here) for tensor in inputs))
    return functional.mse_loss(predicted, (clean - noise).to(here))


def make_optimisers(model: Model) -> list[torch.optim.Optimizer]:
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
    minutes = parser.parse_args().minutes
    seed = random.SystemRandom().randrange(2**32)  # a run that goes on draws anew
    torch.manual_seed(seed)
    data = Data(seed)
    pad = data.tokenizer.pad_token_id
    torch.manual_seed(0)
    model = Model(len(data.tokenizer)).to(device())
    model.load_reader()
    torch.manual_seed(seed)
    session = Session(RUN, minutes, model, make_optimisers(model), decay=0.998)
    losses: deque[float] = deque(maxlen=50)
    while not session.finished:
        loss = loss_of(model, *data.batch(), pad)
        session.advance(loss)
        losses.append(loss.item())
        if session.step % 50 == 0:
            mean = sum(losses) / len(losses)
            print(f"{session.step} {session.elapsed:.0f} s, loss {mean:.4f}", flush=True)
        if session.step % RESCAN_STEPS == 0:
            data.scan()
    session.save()


if __name__ == "__main__":
    main()
