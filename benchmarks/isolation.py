"""What setting words takes off the pictures a second of an engine that has a core of its own.

The engine runs in this process on one core. Each picture it draws goes to another process on
another core, which cuts it to its placement, sets four layers on it or none, and writes a JPEG.
Windows with words and windows without follow each other in turn, the engine always full.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import Connection

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import adverts, engines
from benchmarks.jobs import Job
from benchmarks.report import Figure, Plot, Report, Series, Table
from benchmarks.suite import Say
from benchmarks.turns import in_turn, median, ratio, told_seconds
from deployments.diffusion.engine import Engine
from deployments.handover import Drawn
from deployments.postprocess import render
from deployments.postprocess.finish import finish
from deployments.postprocess.spec import Output

PLACEMENT = "feed_square"
SIDE, STEPS = 256, 8
IN_FLIGHT = 8
PICTURES = 32  # of one window
ROUNDS = 8
BOUND = 0.98
ANSWER_WITHIN_S = 120.0
NOTE = (
    f"The embedded model draws {SIDE}x{SIDE} with one thread on one core, {IN_FLIGHT} requests at "
    f"any time; a process on the other core makes each a JPEG at {PLACEMENT}, with four layers of "
    f"words or without. A window is {PICTURES} pictures; the first {IN_FLIGHT} fill it and do not "
    "count, nor does what the last one waits for its file."
)


class Finisher:
    """The process that finishes pictures; this side of it, used by one thread at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, picture: NDArray[np.uint8], words: bool) -> None:
        """Hand a picture over: uint8 (H, W, 3)."""
        self._connection.send((picture, words))

    def receive(self) -> float:
        """When the next file was finished, on the monotonic clock that processes share."""
        if not self._connection.poll(ANSWER_WITHIN_S):
            raise TimeoutError("the finishing process does not answer")
        when: float = self._connection.recv()
        return when


def measure(quick: bool, say: Say) -> Report:
    """Pictures a second with words over those without."""
    pictures, rounds = (IN_FLIGHT + 2, 1) if quick else (PICTURES, ROUNDS)
    engine_core, words_core = two_cores()
    with finisher(words_core) as other, on_core(engine_core):
        profile = engines.embedded(threads=1, embedding_cache_bytes=0, max_running=IN_FLIGHT)
        with engines.running(profile) as engine:
            seeds = count(1)
            times = in_turn(
                {
                    "without words": lambda: window(engine, other, seeds, pictures, words=False),
                    "with words": lambda: window(engine, other, seeds, pictures, words=True),
                },
                rounds,
                clock=told_seconds,
                told=lambda done, of: say(f"{done} of {of} rounds"),
            )
    kept = ratio(times["without words"], times["with words"])  # of rates: the times' inverse
    counted = pictures - IN_FLIGHT
    rates = {way: [counted / seconds for seconds in taken] for way, taken in times.items()}
    spreads = {way: median(of) for way, of in rates.items()}
    return Report(
        figures=[
            Figure(
                name="pictures a second with words, over those without",
                number=6,
                value=kept.value,
                low=kept.low,
                high=kept.high,
                sense="at least",
                bound=BOUND,
                baseline="the same engine, words off",
            )
        ],
        tables=[
            Table(
                title="Pictures a second",
                columns=["", "median", "low", "high"],
                rows=[[way, s.value, s.low, s.high] for way, s in spreads.items()],
            )
        ],
        plots=[
            Plot(
                name="isolation",
                title="An engine on one core, words on the other",
                kind="bars",
                x_label="",
                y_label="pictures a second",
                series=[
                    Series(
                        label="pictures a second",
                        x=list(spreads),
                        y=[s.value for s in spreads.values()],
                        low=[s.low for s in spreads.values()],
                        high=[s.high for s in spreads.values()],
                    )
                ],
            )
        ],
        notes=[NOTE],
        data={"seconds": times, "pictures": counted},
    )


def window(
    engine: Engine, other: Finisher, seeds: Iterator[int], pictures: int, *, words: bool
) -> float:
    """Draw and finish so many pictures, `IN_FLIGHT` asked for at any time.

    Seconds from the file that ends the first `IN_FLIGHT` to the last: words make both later alike.
    """
    asked: list[Future[Drawn]] = []

    def ask() -> None:
        seed = next(seeds)
        job = Job("t2i", seed, SIDE, SIDE, STEPS)
        asked.append(engine.submit(f"window-{seed}", job.params))

    for _ in range(IN_FLIGHT):
        ask()
    for done in range(pictures):
        drawn = asked[done].result(ANSWER_WITHIN_S)
        if len(asked) < pictures:
            ask()
        other.send(drawn.pictures[0], words)
    finished = [other.receive() for _ in range(pictures)]
    return finished[-1] - finished[IN_FLIGHT - 1]


def two_cores() -> tuple[int, int]:
    """Two cores that this process may use. Raises RuntimeError where there is one alone."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise RuntimeError("this needs two cores")
    return cores[0], cores[1]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """This thread, and those that it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def finisher(core: int) -> Iterator[Finisher]:
    """A process on one core that finishes what it is sent, warm when the block is entered."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=finish_all, args=(theirs, core), daemon=True
    )
    process.start()
    theirs.close()
    try:
        other = Finisher(ours)
        other.receive()
        yield other
    finally:
        ours.close()
        process.join(ANSWER_WITHIN_S)


def finish_all(connection: Connection, core: int) -> None:
    """The other process: make a file of each picture and tell when, until nobody asks."""
    os.sched_setaffinity(0, {core})
    cv2.setNumThreads(1)
    render.warm()
    connection.send(time.monotonic())
    for turn in count():
        try:
            picture, words = connection.recv()
        except EOFError:
            return
        spec = adverts.spec(turn % adverts.COUNT, turn) if words else None
        done = finish(picture, spec, PLACEMENT, Output("jpeg"), {})
        connection.send(time.monotonic())
        if not done.data:
            raise RuntimeError("a picture came out empty")
        if words and (done.report is None or len(done.report.layers) != 4):
            raise RuntimeError(f"the words could not be set: {done.warnings}")
