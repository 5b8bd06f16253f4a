"""Score a model on prompts that training never saw: `... evaluate --model training/run2/model`.

Draws them with the stock diffusers pipeline, reads the pictures back with `check`, measures edges
with `sharpness`, prints the scores and writes them, with a sample sheet, into a folder. With
`--shuffled` pictures are held against each other's prompts, which is what chance looks like; with
`--truth` the check is checked on the pictures that the world itself draws.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from diffusers import ZImagePipeline

from training.evaluate import sheet
from training.second.briefs import brief
from training.second.catalogue import OBJECTS, SHAPES
from training.second.check import Verdict, judge
from training.second.chunks import RUN, THREADS
from training.second.phrases import LANGUAGES, Language
from training.second.prompts import describe
from training.second.render import render
from training.second.scene import Scene
from training.second.scenes import sample_scene
from training.second.sharpness import rises

AXES = tuple(field.name for field in fields(Verdict))
GOALS = {"ground": 0.97, "colour": 0.97, "object": 0.97, "position": 0.97, "space": 0.97}
STEPS = 8
BATCH = 4
MAX_TOKENS = 512
LONG_SHARE = 8  # one prompt in so many is a brief
BRIEF_SENTENCES = 14


@dataclass(frozen=True)
class Case:
    """One prompt of the evaluation, and the seed of its picture."""

    prompt: str
    language: Language
    scene: Scene
    seed: int
    is_long: bool


def cases(count: int, seed: int = 0) -> list[Case]:
    """Unseen prompts, by turns in each language, every name of the world equally often first."""
    rng = random.Random(seed)
    names = (*OBJECTS, *SHAPES)
    made = []
    for index in range(count):
        language = LANGUAGES[index % 2]
        scene = sample_scene(rng, held_out=True, names=[names[(index // 2) % len(names)]])
        is_long = rng.randrange(LONG_SHARE) == 0
        if is_long:
            prompt = brief(scene, rng, language, BRIEF_SENTENCES)
        else:
            prompt = describe(scene, rng, language)
        made.append(Case(prompt, language, scene, index, is_long))
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
    alike: dict[tuple[int, int, bool], list[Case]] = defaultdict(list)
    for case in asked:
        alike[case.scene.width, case.scene.height, case.is_long].append(case)
    drawn: dict[int, np.ndarray] = {}
    for members in alike.values():
        for start in range(0, len(members), BATCH):
            batch = members[start : start + BATCH]
            for case, picture in zip(batch, draw(pipeline, batch), strict=True):
                drawn[case.seed] = picture
    return [drawn[case.seed] for case in asked]


class Scores:
    """Shares of right answers on each axis, overall and by language, kind and name."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        self.names: dict[str, list[bool]] = defaultdict(list)

    def add(self, case: Case, verdict: Verdict) -> None:
        scene = case.scene
        groups = (
            "all",
            case.language,
            ("one object", "two objects", "three objects")[len(scene.items) - 1],
            scene.ground.kind,
            "512x512" if scene.width == scene.height else "other sizes",
            "long prompts" if case.is_long else "short prompts",
        )
        for axis, right in asdict(verdict).items():
            if right is not None:
                for group in groups:
                    self.answers[group][axis].append(right)
        for item in scene.items:  # a picture of several says something about each
            self.names[item.name].append(verdict.object)

    def share(self, group: str, axis: str) -> float:
        answers = self.answers[group][axis]
        return sum(answers) / len(answers) if answers else float("nan")

    def table(self) -> str:
        """Markdown."""
        lines = ["| | prompts | " + " | ".join(AXES) + " |", "|---" * (len(AXES) + 2) + "|"]
        for group, answers in self.answers.items():
            shares = " | ".join(f"{self.share(group, axis):.3f}" for axis in AXES)
            lines.append(f"| {group} | {len(answers['object'])} | {shares} |")
        return "\n".join(lines)


def edges(pictures: list[np.ndarray], asked: list[Case]) -> tuple[float, float]:
    """The median rise in pixels of the pictures' edges and of the truth's."""
    shown: list[float] = []
    true: list[float] = []
    for picture, case in zip(pictures, asked, strict=True):
        of_picture, of_truth = rises(picture, render(case.scene))
        shown += of_picture
        true += of_truth
    return float(np.median(shown)), float(np.median(true))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=RUN / "model")
    parser.add_argument("--prompts", type=int, default=444)
    parser.add_argument("--out", type=Path, default=RUN / "evaluation")
    parser.add_argument("--truth", action="store_true", help="check the check")
    parser.add_argument("--shuffled", action="store_true", help="what chance looks like")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    asked = cases(arguments.prompts)
    if arguments.truth:
        pictures = [render(case.scene) for case in asked]
    else:
        pipeline = ZImagePipeline.from_pretrained(arguments.model, dtype=torch.float32)
        pipeline.set_progress_bar_config(disable=True)
        pictures = draw_all(pipeline, asked)
    if arguments.shuffled:  # among pictures of one size
        for size in {picture.shape for picture in pictures}:
            places = [i for i, picture in enumerate(pictures) if picture.shape == size]
            half = len(places) // 2  # neighbours ask for the same name
            moved = [pictures[i] for i in places[half:] + places[:half]]
            for i, picture in zip(places, moved, strict=True):
                pictures[i] = picture
    scores, records = Scores(), []
    for case, picture in zip(asked, pictures, strict=True):
        verdict = judge(picture, case.scene)
        scores.add(case, verdict)
        records.append({"prompt": case.prompt, "seed": case.seed, **asdict(verdict)})
    shown, true = edges(pictures, asked)
    arguments.out.mkdir(parents=True, exist_ok=True)
    told = {"rise": shown, "rise of the truth": true, "names": scores.names, "answers": records}
    (arguments.out / "scores.json").write_text(json.dumps(told, ensure_ascii=False, indent=1))
    chosen = pictures[:: max(1, len(pictures) // 64)][:64]
    sheet(chosen).save(arguments.out / "sheet.png")
    print(scores.table())
    print(f"\nedges rise over {shown:.2f} pixels, the truth's over {true:.2f}\n")
    for name, right in sorted(
        scores.names.items(), key=lambda entry: sum(entry[1]) / len(entry[1])
    ):
        print(f"{name}: {sum(right) / len(right):.2f} of {len(right)}")
    missed = [axis for axis, goal in GOALS.items() if scores.share("all", axis) < goal]
    print("goals missed: " + (", ".join(missed) or "none"))


if __name__ == "__main__":
    main()
