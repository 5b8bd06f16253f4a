"""How long setting words takes, against a plain Pillow drawing of the same layers.

    python -m benchmarks.overlay [--out FILE]

Eight adverts of four layers at 1024x1024. Turn by turn, on one core, each is made by the whole
stage (array in, JPEG out) and drawn by Pillow from the stage's own report; then one thread and
two threads make all eight. Faces, imports and single words are warm, as in a running server; the
copy of every turn is new. On one core processor time is counted, with threads wall time.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import adverts, clock, pillow_drawing
from benchmarks.machine import machine
from deployments.postprocess import backings, layers, legible, overlay, render, shapes
from deployments.postprocess import finish as stage
from deployments.postprocess.finish import Finished
from deployments.postprocess.spec import Output

ROUNDS = 15
GOALS = {"drawing": 0.8, "stage": 2.5, "two_threads": 0.6}
PARTS: clock.Places = {
    "prepare": [(layers, "prepare")],
    "map": [(overlay, "cost_map")],
    "set": [(overlay, "hang")],
    "draw": [
        *((render, name) for name in ("glyphs", "outline", "shadow", "turned", "rounded")),
        *((module, "paint") for module in (backings, legible, overlay, shapes)),
    ],
    "jpeg": [(stage, "encode")],
}

Pixels = NDArray[np.uint8]


def make(picture: Pixels, number: int, turn: int) -> Finished:
    """Advert `number` by the whole stage."""
    return stage.finish(picture, adverts.spec(number, turn), None, Output("jpeg"), {})


def seconds(call: Callable[[], Any]) -> float:
    """Processor time of one call."""
    began = time.process_time()
    call()
    return time.process_time() - began


@contextmanager
def cores(number: int) -> Iterator[None]:
    """On so many cores, OpenCV without threads of its own; as before when the block ends."""
    allowed, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, sorted(allowed)[:number])
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        cv2.setNumThreads(threads)


def against_pillow(pictures: list[Pixels], rounds: int) -> dict[str, Any]:
    """Each advert by the stage, then by Pillow, turn by turn; milliseconds are medians."""
    runs: list[list[dict[str, float]]] = [[] for _ in pictures]
    backings: list[list[str]] = [[] for _ in pictures]
    with cores(1):
        for turn in range(rounds + 1):  # the first warms faces and words up
            for number, picture in enumerate(pictures):
                run, report = one_turn(picture, number, turn)
                if turn:
                    runs[number].append(run)
                    backings[number] = [layer.backing for layer in report.layers]
    return {
        "adverts": [
            {"backings": kinds} | _medians(turns)
            for kinds, turns in zip(backings, runs, strict=True)
        ],
        "all": _medians([run for turns in runs for run in turns]),
    }


def one_turn(
    picture: Pixels, number: int, turn: int
) -> tuple[dict[str, float], overlay.OverlayReport]:
    """Seconds of the stage, of its parts and of Pillow, in one turn with its own copy."""
    with clock.watch(PARTS) as parts:
        began = time.process_time()
        done = make(picture, number, turn)
        whole = time.process_time() - began
    report = done.report
    if report is None:
        raise RuntimeError(f"the words of advert {number} could not be set: {done.warnings}")
    spent = dict(parts.spent)
    run = {"pillow": seconds(lambda: pillow_drawing.draw(picture, report)), "stage": whole}
    run |= spent | {"judge": whole - sum(spent.values())}
    run["draw"] += seconds(picture.copy)  # the drawing's own, which the clock cannot see
    return run, report


def _medians(runs: list[dict[str, float]]) -> dict[str, Any]:
    told: dict[str, Any] = {
        f"{name}_ms": round(1000 * statistics.median(run[name] for run in runs), 2)
        for name in runs[0]
    }
    for name, part in (("drawing", "draw"), ("stage", "stage")):
        told[f"{name}_to_pillow"] = round(
            statistics.median(run[part] / run["pillow"] for run in runs), 3
        )
    return told


def by_threads(pictures: list[Pixels], rounds: int) -> dict[str, Any]:
    """Wall seconds of one and of two threads for all adverts, turn by turn."""
    turns = count(5000)
    walls: dict[int, list[float]] = {1: [], 2: []}
    with cores(2):
        for _ in range(rounds):
            for threads, spent in walls.items():
                turn = next(turns)
                jobs = [(picture, number, turn) for number, picture in enumerate(pictures)]
                began = time.perf_counter()
                with ThreadPoolExecutor(threads) as pool:
                    list(pool.map(lambda job: make(*job), jobs))
                spent.append(time.perf_counter() - began)
    return {
        "one_thread_s": walls[1],
        "two_threads_s": walls[2],
        "ratio_of_medians": statistics.median(walls[2]) / statistics.median(walls[1]),
    }


def measure(side: int = 1024, rounds: int = ROUNDS) -> dict[str, Any]:
    """The whole result, at `side` x `side` pixels."""
    pictures = [adverts.picture(number, side) for number in range(adverts.COUNT)]
    core = against_pillow(pictures, rounds)
    threads = by_threads(pictures, rounds)
    ratios = {
        "drawing": core["all"]["drawing_to_pillow"],
        "stage": core["all"]["stage_to_pillow"],
        "two_threads": threads["ratio_of_medians"],
    }
    return {
        "machine": machine(),
        "size": [side, side],
        "rounds": rounds,
        "one_core": core,
        "threads": threads,
        "ratios": ratios,
        "goals": GOALS,
        "holds": {name: ratio <= GOALS[name] for name, ratio in ratios.items()},
    }


def main() -> None:
    """Measure and write the result."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, help="JSON file to write")
    options = arguments.parse_args()
    text = json.dumps(measure(), indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
