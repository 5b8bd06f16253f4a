"""Score the embedded model on prompts that training never saw: `python -m training.evaluate`.

Draws them with the stock diffusers pipeline, reads the pictures back with `training.check`, prints
the scores and writes them, with a sample sheet, into a folder.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import ZImagePipeline
from PIL import Image

from training.check import Verdict, judge
from training.export import RUNS, TARGET
from training.prompts import LANGUAGES, describe
from training.scenes import sample_scene
from training.world import OBJECTS, SHAPES, Scene

AXES = ("background", "colour", "object", "position", "size")
SHEET_COLUMNS = 8
STEPS = 8
BATCH = 8
MAX_TOKENS = 64  # the longest prompt of the grammar has 22


@dataclass(frozen=True)
class Case:
    """One prompt of the evaluation, and the seed of its picture."""

    prompt: str
    language: str
    scene: Scene
    seed: int


def cases(count: int, seed: int = 0) -> list[Case]:
    """Unseen prompts, by turns in each language, every name of the world equally often first."""
    rng = random.Random(seed)
    names = (*OBJECTS, *SHAPES)
    made = []
    for index in range(count):
        name = names[(index // 2) % len(names)]
        language = LANGUAGES[index % 2]
        scene = sample_scene(rng, held_out=True, names=[name])
        made.append(Case(describe(scene, rng, language), language, scene, index))
    return made


@torch.inference_mode()
def draw(pipeline: ZImagePipeline, batch: list[Case]) -> list[np.ndarray]:
    """The pictures for cases of one size, each uint8 (height, width, 3)."""
    pictures = pipeline(
        [case.prompt for case in batch],
        width=batch[0].scene.width,
        height=batch[0].scene.height,
        num_inference_steps=STEPS,
        guidance_scale=0.0,
        max_sequence_length=MAX_TOKENS,
        generator=[torch.Generator().manual_seed(case.seed) for case in batch],
    ).images
    return [np.asarray(picture) for picture in pictures]


def draw_all(pipeline: ZImagePipeline, asked: list[Case]) -> list[np.ndarray]:
    """One picture for each case, in their order."""
    sizes = sorted({(case.scene.width, case.scene.height) for case in asked})
    drawn: dict[Case, np.ndarray] = {}
    for size in sizes:
        alike = [case for case in asked if (case.scene.width, case.scene.height) == size]
        for start in range(0, len(alike), BATCH):
            batch = alike[start : start + BATCH]
            drawn.update(zip(batch, draw(pipeline, batch), strict=True))
    return [drawn[case] for case in asked]


class Scores:
    """Shares of right answers on each axis, overall and by language, kind and name."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))

    def add(self, case: Case, verdict: Verdict) -> None:
        kind = "one object" if case.scene.relation is None else "two objects"
        shape = "256x256" if case.scene.width == case.scene.height else "other sizes"
        for axis, right in asdict(verdict).items():
            if right is not None:
                for group in ("all", case.language, kind, shape):
                    self.answers[group][axis].append(right)
        if case.scene.relation is None:
            self.answers[case.scene.items[0].name]["object"].append(verdict.object)
        else:  # a picture of two says something about both
            for item in case.scene.items:
                self.answers[item.name]["object"].append(verdict.object)

    def share(self, group: str, axis: str) -> float:
        answers = self.answers[group][axis]
        return sum(answers) / len(answers) if answers else float("nan")

    def groups(self) -> Iterator[str]:
        return (group for group in self.answers if group not in (*OBJECTS, *SHAPES))

    def names(self) -> dict[str, tuple[float, int]]:
        """Every name's share of pictures whose objects are all right, and their number."""
        return {
            name: (self.share(name, "object"), len(self.answers[name]["object"]))
            for name in (*OBJECTS, *SHAPES)
            if name in self.answers
        }

    def table(self) -> str:
        """Markdown."""
        lines = ["| | prompts | " + " | ".join(AXES) + " |", "|---" * (len(AXES) + 2) + "|"]
        for group in self.groups():
            shares = " | ".join(f"{self.share(group, axis):.3f}" for axis in AXES)
            lines.append(f"| {group} | {len(self.answers[group]['object'])} | {shares} |")
        return "\n".join(lines)


def sheet(pictures: list[np.ndarray]) -> Image.Image:
    """Pictures of any size in rows, each centred in a square tile."""
    tile = 256
    rows = -(-len(pictures) // SHEET_COLUMNS)
    canvas = Image.new("RGB", (SHEET_COLUMNS * (tile + 8), rows * (tile + 8)), "white")
    for index, pixels in enumerate(pictures):
        picture = Image.fromarray(pixels)
        picture.thumbnail((tile, tile), Image.Resampling.LANCZOS)
        row, column = divmod(index, SHEET_COLUMNS)
        left = column * (tile + 8) + (tile + 8 - picture.width) // 2
        top = row * (tile + 8) + (tile + 8 - picture.height) // 2
        canvas.paste(picture, (left, top))
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=TARGET)
    parser.add_argument("--prompts", type=int, default=440)
    parser.add_argument("--out", type=Path, default=RUNS / "evaluation")
    arguments = parser.parse_args()
    pipeline = ZImagePipeline.from_pretrained(arguments.model, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    asked = cases(arguments.prompts)
    pictures = draw_all(pipeline, asked)
    scores, records = Scores(), []
    for case, picture in zip(asked, pictures, strict=True):
        verdict = judge(picture, case.scene)
        scores.add(case, verdict)
        records.append({"prompt": case.prompt, "seed": case.seed, **asdict(verdict)})
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = scores.names()
    (arguments.out / "scores.json").write_text(
        json.dumps({"names": names, "answers": records}, ensure_ascii=False, indent=1)
    )
    sheet(pictures[:: max(1, len(pictures) // 64)][:64]).save(
        arguments.out / "sheet.jpg", quality=88
    )
    print(scores.table())
    print()
    for name, (right, count) in sorted(names.items(), key=lambda entry: entry[1][0]):
        print(f"{name}: {right:.2f} of {count}")


if __name__ == "__main__":
    main()
