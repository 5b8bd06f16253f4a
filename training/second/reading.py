"""What a caption says, as questions with answers, and the heads that answer them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen3Model

from training.second.catalogue import (
    COLOURS,
    GROUNDS,
    OBJECTS,
    POSITIONS,
    RELATIONS,
    SHAPES,
    SIZES,
)
from training.second.models import TEXT_LAYERS, TEXT_WIDTH, make_text_encoder
from training.second.scene import Scene

NAMES = ("", *OBJECTS, *SHAPES)
HUES = ("", *COLOURS)
QUESTIONS: dict[str, tuple[str, ...]] = {
    "first": NAMES,
    "first colour": HUES,
    "second": NAMES,
    "second colour": HUES,
    "third": NAMES,
    "third colour": HUES,
    "ground": GROUNDS,
    "ground colour": tuple(COLOURS),
    "ground second": HUES,
    "size": tuple(SIZES),
    "position": tuple(POSITIONS),
    "relation": ("", *RELATIONS),
}


def answers(scene: Scene) -> list[int]:
    """The index of the right answer to each of QUESTIONS."""
    said: list[str] = []
    for index in range(3):
        item = scene.items[index] if index < len(scene.items) else None
        said += [item.name if item else "", (item.colour or "") if item else ""]
    ground = scene.ground
    said += [ground.kind, ground.colour, ground.second or ""]
    said += [scene.size, scene.position, scene.relation or ""]
    return [options.index(one) for options, one in zip(QUESTIONS.values(), said, strict=True)]


def make_reader(vocabulary: int) -> Qwen3Model:
    """The layers of the text encoder whose output the transformer reads."""
    reader = make_text_encoder(vocabulary, layers=TEXT_LAYERS - 1)
    reader.norm = nn.Identity()
    return reader


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
        """Logits for tokens (batch, length), of which `known` of that shape are real."""
        logits: list[Tensor] = self.heads(self.text(input_ids=tokens).last_hidden_state, known)
        return logits


def reading_loss(logits: list[Tensor], right: Tensor) -> Tensor:
    """Cross entropy summed over the questions; `right` (batch, questions) are the answers."""
    losses = [functional.cross_entropy(one.float(), right[:, i]) for i, one in enumerate(logits)]
    return torch.stack(losses).sum()


def shares_right(logits: list[Tensor], right: Tensor) -> dict[str, float]:
    """For each question the share of a batch that was answered right."""
    return {
        question: (one.argmax(dim=1) == right[:, i]).float().mean().item()
        for i, (question, one) in enumerate(zip(QUESTIONS, logits, strict=True))
    }
