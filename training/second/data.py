"""The encoded scenes in batches of one picture size, described anew each time they are drawn."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.second.captions import caption_batch, draw_length
from training.second.catalogue import BUCKETS
from training.second.encode_latents import FOLDER, scene_from
from training.second.reading import answers
from training.second.scene import Scene
from training.second.vocabulary import make_second_tokenizer

SQUARE_SHARE = 0.6
BATCH = {32: 48, 64: 40, 256: 16}  # scenes, by the length of captions
LONGEST_ELSEWHERE = 64  # tokens of captions of pictures that are not square


@dataclass
class Group:
    """All encoded scenes of one picture size."""

    latents: Tensor
    scenes: list[Scene]
    loose: Tensor


@dataclass
class Batch:
    """Scenes of one size.

    clean: latents (n, channels, height, width). tokens, known: (n, length), known is false for
    padding. answers: (n, questions). loose: (n,), whether off the grid.
    """

    clean: Tensor
    tokens: Tensor
    known: Tensor
    answers: Tensor
    loose: Tensor


class Data:
    """The parts of `encode_latents`; `scan` takes in those written since."""

    def __init__(self, seed: int, folder: Path = FOLDER) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.tokenizer = make_second_tokenizer()
        self.parts: set[Path] = set()
        self.groups: dict[tuple[int, int], Group] = {}
        self.scan()

    def scan(self) -> None:
        new = sorted(set(self.folder.glob("part-*.pt")) - self.parts)
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
            raise SystemExit(f"no latents in {self.folder}: run training.second.encode_latents")

    def batch(self) -> Batch:
        """Scenes of one size, their captions of one length."""
        square = self.rng.random() < SQUARE_SHARE
        group = self.groups[BUCKETS[0] if square else self.rng.choice(BUCKETS[1:])]
        length = draw_length(self.rng)
        if not square:
            length = min(length, LONGEST_ELSEWHERE)
        chosen = [self.rng.randrange(len(group.scenes)) for _ in range(BATCH[length])]
        scenes = [group.scenes[index] for index in chosen]
        tokens, known = caption_batch(self.tokenizer, scenes, self.rng, length)
        return Batch(
            clean=group.latents[chosen].float(),
            tokens=tokens,
            known=known,
            answers=torch.tensor([answers(one) for one in scenes]),
            loose=group.loose[chosen],
        )
