"""How long setting words takes, against a plain Pillow drawing of the same layers.

Eight adverts of four layers at 1024x1024. Turn by turn, on one core, each is made by the whole
stage (array in, JPEG out) and drawn by Pillow from the stage's own report; then one thread and
two threads make all eight, each with a process to set words in. Faces, imports and single words
are warm, as in a running server; the copy of every turn is new. On one core processor time is
counted, with threads wall time.
"""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import (
    Cell,
    Figure,
    Places,
    Plot,
    Report,
    Say,
    Series,
    Spread,
    Table,
    Times,
    cores,
    in_turn,
    jobs,
    median,
    ratio,
    watch,
)
from benchmarks.overlay import pillow_drawing
from deployments.postprocess import finish as stage
from deployments.postprocess.canvas import masks
from deployments.postprocess.finish import Finisher
from deployments.postprocess.painting import backings, compose, legible, paint_shapes
from deployments.postprocess.schema import Finished, Output, OverlayReport
from deployments.postprocess.typesetting import drawing
from deployments.postprocess.worker_pool import WorkerPool

ROUNDS = 15
BOUNDS = {"drawing": 0.8, "stage": 2.5, "two_threads": 0.6}
QUICK_SIDE = 192
NOTE = (
    "Both draw the same eight adverts of four layers at 1024x1024, the copy of every turn new. "
    "*Drawing* is rendering and compositing alone; *the whole stage* also places the words, "
    "measures their contrast, backs them and writes the JPEG. On one core processor time is "
    "counted; two threads on two cores are held against one thread by wall time. As in the "
    "post-process room every thread has a process to set words in."
)
PARTS: Places = {
    "prepare": [(compose, "prepare_items")],
    "map": [(compose, "map_costs")],
    "set": [(compose, "place_insets")],
    "draw": [
        *((drawing, name) for name in ("glyphs", "outline", "turned", "rounded")),
        (masks, "shadow"),
        *((module, "paint") for module in (backings, legible, compose, paint_shapes)),
    ],
    "jpeg": [(stage, "encode")],
}

Pixels = NDArray[np.uint8]


def make(
    picture: Pixels, number: int, turn: int, finish: Finisher = stage.finish_picture
) -> Finished:
    """Advert `number` by the whole stage."""
    return finish(picture, jobs.spec(number, turn), None, Output("jpeg"), {})


def seconds(call: Callable[[], Any]) -> float:
    """Processor time of one call."""
    began = time.process_time()
    call()
    return time.process_time() - began


def against_pillow(pictures: list[Pixels], rounds: int) -> list[dict[str, Any]]:
    """Each advert by the stage, then by Pillow: its backings, and the seconds of each turn."""
    runs: list[dict[str, Any]] = [{"backings": [], "turns": []} for _ in pictures]
    with cores(1):
        for turn in range(rounds + 1):  # the first warms faces and words up
            for number, picture in enumerate(pictures):
                run, report = one_turn(picture, number, turn)
                if turn:
                    runs[number]["turns"].append(run)
                    runs[number]["backings"] = [layer.backing for layer in report.layers]
    return runs


def one_turn(picture: Pixels, number: int, turn: int) -> tuple[dict[str, float], OverlayReport]:
    """Seconds of the stage, of its parts and of Pillow, in one turn with its own copy."""
    with watch(PARTS) as parts:
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


def by_threads(pictures: list[Pixels], rounds: int) -> Times:
    """Wall seconds of one and of two threads for all adverts, turn by turn.

    As in the post-process room each has a process to set words in; beside them, `plain`, one thread
    that sets them itself.
    """
    turns = count(5000)
    with cores(2):
        workers = WorkerPool(2, own_fonts=None)

        def make_all(threads: int, finish: Finisher) -> None:
            turn = next(turns)
            with ThreadPoolExecutor(threads) as pool:
                made = [
                    pool.submit(make, picture, number, turn, finish)
                    for number, picture in enumerate(pictures)
                ]
                for one in made:
                    one.result()

        ways = {
            "one": lambda: make_all(1, workers.finish),
            "two": lambda: make_all(2, workers.finish),
            "plain": lambda: make_all(1, stage.finish_picture),
        }
        return in_turn(ways, rounds)


def measure(quick: bool, say: Say) -> Report:
    """The stage and its parts against Pillow, and two threads against one."""
    side, rounds = (QUICK_SIDE, 1) if quick else (1024, ROUNDS)
    pictures = [jobs.picture(number, side) for number in range(jobs.COUNT)]
    say(f"{rounds} rounds beside Pillow")
    core = against_pillow(pictures, rounds)
    say(f"{rounds} rounds of one thread and of two")
    threads = by_threads(pictures, rounds)
    return Report(
        figures=[
            _figure("drawing words, against Pillow", "drawing", _over_pillow(core, "draw")),
            _figure("the whole stage, against that drawing", "stage", _over_pillow(core, "stage")),
            _figure(
                "eight adverts by two threads, against one thread",
                "two_threads",
                ratio(threads["two"], threads["one"]),
            ),
        ],
        tables=[_table(core), _threads_table(threads)],
        plots=[_plot(core)],
        notes=[NOTE],
        data={"one_core": core, "threads": threads},
    )


def _over_pillow(core: list[dict[str, Any]], part: str) -> Spread:
    """A part's seconds over Pillow's for the same advert in the same turn: the median turn's."""
    turns = [turn for advert in core for turn in advert["turns"]]
    return median([turn[part] / turn["pillow"] for turn in turns])


def _figure(name: str, bound: str, spread: Spread) -> Figure:
    return Figure(
        name=name,
        value=spread.value,
        low=spread.low,
        high=spread.high,
        bound=BOUNDS[bound],
        baseline="one thread" if bound == "two_threads" else "plain Pillow, the same layers",
    )


def _table(core: list[dict[str, Any]]) -> Table:
    """Milliseconds by part of each advert."""
    parts = list(core[0]["turns"][0])
    rows: list[list[Cell]] = [
        [number, " ".join(advert["backings"]), *(_ms(advert["turns"], part) for part in parts)]
        for number, advert in enumerate(core, 1)
    ]
    return Table(
        title="Each advert, milliseconds of processor time",
        columns=["Advert", "Backings", *parts],
        rows=rows,
    )


def _threads_table(threads: Times) -> Table:
    """Milliseconds an advert by each way, in all."""
    names = {
        "one": "one thread and its process",
        "two": "two threads and their processes",
        "plain": "one thread without a process",
    }
    rows: list[list[Cell]] = []
    for way, name in names.items():
        spread = median([1000 * seconds / jobs.COUNT for seconds in threads[way]])
        rows.append([name, *(round(ms, 1) for ms in (spread.value, spread.low, spread.high))])
    return Table(
        title="Eight adverts on two cores, milliseconds each",
        columns=["", "median", "from", "to"],
        rows=rows,
    )


def _plot(core: list[dict[str, Any]]) -> Plot:
    """The stage's parts on one another, beside Pillow's drawing."""
    turns = [turn for advert in core for turn in advert["turns"]]
    parts = [part for part in turns[0] if part not in ("pillow", "stage")]
    bars = ["the whole stage", "Pillow's drawing"]
    series = [Series(label=part, x=bars, y=[_ms(turns, part), 0.0]) for part in parts]
    series.append(Series(label="pillow", x=bars, y=[0.0, _ms(turns, "pillow")]))
    return Plot(
        name="overlay",
        title="One advert of four layers, 1024x1024, one core",
        kind="stacked",
        x_label="",
        y_label="milliseconds",
        series=series,
    )


def _ms(turns: list[dict[str, float]], part: str) -> float:
    return round(1000 * statistics.median(turn[part] for turn in turns), 2)
