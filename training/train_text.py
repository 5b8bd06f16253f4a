"""Teach the text encoder to read: `python -m training.train_text --minutes 3`.

From the features of a prompt's last token, which has seen all others, linear heads name what the
scene holds: its items, colours, background, size, place and relation. Minutes of this spare the
transformer hours: it starts with captions that say in one place what is to be drawn where.
"""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen3Model

from training.models import CAPTION_TOKENS, TEXT_LAYERS, TEXT_WIDTH, make_text_encoder
from training.prompts import LANGUAGES, UNKNOWN_SHARE, describe, with_unknown_word
from training.scenes import sample_scene
from training.session import SHIPPED, Session, device
from training.tokenizer import as_chat, make_tokenizer
from training.world import COLOURS, OBJECTS, POSITIONS, RELATIONS, SHAPES, SIZES, Scene

RUN = Path(__file__).with_name("runs") / "text"
BATCH = 64
NAMES = ("", *OBJECTS, *SHAPES)
HUES = ("", *COLOURS)
QUESTIONS: dict[str, tuple[str, ...]] = {
    "first": NAMES,
    "first colour": HUES,
    "second": NAMES,
    "second colour": HUES,
    "background": tuple(COLOURS),
    "size": tuple(SIZES),
    "position": tuple(POSITIONS),
    "relation": ("", *RELATIONS),
}


def make_reader(vocabulary: int) -> Qwen3Model:
    """The layers of the text encoder whose output the transformer reads."""
    reader = make_text_encoder(vocabulary, layers=TEXT_LAYERS - 1)
    reader.norm = nn.Identity()
    return reader


def caption_tokens(
    tokenizer: PreTrainedTokenizerFast, scene: Scene, rng: random.Random
) -> list[int]:
    """A prompt for the scene in either language, padded to CAPTION_TOKENS."""
    language = rng.choice(LANGUAGES)
    prompt = describe(scene, rng, language)
    if rng.random() < UNKNOWN_SHARE:
        prompt = with_unknown_word(prompt, rng, language)
    tokens: list[int] = tokenizer(as_chat(tokenizer, prompt)).input_ids
    return tokens + [tokenizer.pad_token_id] * (CAPTION_TOKENS - len(tokens))


def answers(scene: Scene) -> list[int]:
    """The index of the right answer to each of QUESTIONS."""
    second = scene.items[1] if len(scene.items) > 1 else None
    said = (
        scene.items[0].name,
        scene.items[0].colour or "",
        second.name if second else "",
        (second.colour or "") if second else "",
        scene.background,
        scene.size,
        scene.position,
        scene.relation or "",
    )
    return [options.index(one) for options, one in zip(QUESTIONS.values(), said, strict=True)]


class Heads(nn.Module):
    """One linear head a question, on the features of a prompt's last token."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(TEXT_WIDTH)
        self.heads = nn.ModuleList(nn.Linear(TEXT_WIDTH, len(q)) for q in QUESTIONS.values())

    def forward(self, features: Tensor, known: Tensor) -> list[Tensor]:
        """Logits for features (batch, tokens, width), of which `known` (batch, tokens) are real."""
        last = known.sum(dim=1) - 1
        final = self.norm(features[torch.arange(len(last), device=last.device), last])
        return [head(final) for head in self.heads]


class Examination(nn.Module):
    """The reader with its heads."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.text = make_reader(vocabulary)
        self.heads = Heads()

    def forward(self, tokens: Tensor, known: Tensor) -> list[Tensor]:
        """Logits for tokens (batch, CAPTION_TOKENS), of which `known` of that shape are real."""
        logits: list[Tensor] = self.heads(self.text(input_ids=tokens).last_hidden_state, known)
        return logits


def reading_loss(logits: list[Tensor], right: Tensor) -> Tensor:
    """Cross entropy summed over the questions; `right` (batch, questions) are the answers."""
    losses = [functional.cross_entropy(one.float(), right[:, i]) for i, one in enumerate(logits)]
    return torch.stack(losses).sum()


def shipped_reader() -> dict[str, Tensor]:
    """The weights, in float32, of the shipped model's reader."""
    weights = load_file(SHIPPED / "text_encoder" / "model.safetensors")
    unread = ("norm.", f"layers.{TEXT_LAYERS - 1}.")
    return {name: w.float() for name, w in weights.items() if not name.startswith(unread)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--from-shipped", action="store_true", help="start from the shipped one")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    rng = random.Random(0)
    tokenizer = make_tokenizer()
    model = Examination(len(tokenizer)).to(device())
    if arguments.from_shipped:
        model.text.load_state_dict(shipped_reader())
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.0)
    session = Session(RUN, arguments.minutes, model, [optimiser], decay=0.99, save_every_minutes=1)
    while not session.finished:
        scenes = [sample_scene(rng, held_out=False) for _ in range(BATCH)]
        tokens = torch.tensor([caption_tokens(tokenizer, scene, rng) for scene in scenes])
        right = torch.tensor([answers(scene) for scene in scenes]).to(device())
        logits = model(tokens.to(device()), (tokens != tokenizer.pad_token_id).to(device()))
        session.advance(reading_loss(logits, right))
        if session.step % 50 == 0:
            shares = [
                (one.argmax(dim=1) == right[:, i]).float().mean().item()
                for i, one in enumerate(logits)
            ]
            told = ", ".join(f"{q} {s:.2f}" for q, s in zip(QUESTIONS, shares, strict=True))
            print(f"{session.step} {session.elapsed:.0f} s: {told}", flush=True)
    session.save()


if __name__ == "__main__":
    main()
