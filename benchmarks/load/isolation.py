"""What setting words takes off the pictures a second of an engine that has a core of its own.

The engine runs in this process on one core. Each picture it draws goes to another process on
another core, which cuts it to its placement, sets four layers on it or none, and writes a JPEG.
Pictures with words and without take turns, one by one, the engine always full.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from queue import SimpleQueue

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import (
    Figure,
    Job,
    Plot,
    Report,
    Say,
    Series,
    Table,
    Times,
    engines,
    jobs,
    median,
    ratio,
)
from deployments.diffusion.engine import Engine
from deployments.handover import Drawn
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.schema import Output
from deployments.postprocess.typesetting import engine as rendering

PLACEMENT = "feed_square"
SIDE, STEPS = 256, 8
RUNNING = 8  # rows of the engine, each a step further than the next
PAIRS = 16
BOUND = 0.98
ANSWER_WITHIN_S = 120.0
WAYS = {"without words": False, "with words": True}
LATE = "files with words that came after the next picture"
NOTE = (
    f"The embedded model draws {SIDE}x{SIDE} with one thread on one core, {RUNNING} requests at a "
    f"time and as many waiting; a process on the other core makes each a JPEG at {PLACEMENT}, with "
    "four layers of words or without, in turn. What a picture's file costs the engine is in the "
    f"time to the next picture. {2 * RUNNING} such times make a pair: {RUNNING} after pictures "
    f"with words, {RUNNING} after those without; in the next {RUNNING} they change parts."
)


class Finisher:
    """The process that finishes pictures; this side of it, used by one thread at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, picture: NDArray[np.uint8], words: bool) -> None:
        """Hand a picture over: uint8 (H, W, 3)."""
        self._connection.send((picture, words))

    def receive(self) -> float:
        """When the next file was finished, on perf_counter's clock. Raises TimeoutError."""
        if not self._connection.poll(ANSWER_WITHIN_S):
            raise TimeoutError("the finishing process does not answer")
        finished: float = self._connection.recv()
        return finished


def measure(quick: bool, say: Say) -> Report:
    """Pictures a second with words over those without."""
    running, pairs = (2, 1) if quick else (RUNNING, PAIRS)
    engine_core, words_core = two_cores()
    with finisher(words_core) as other, on_core(engine_core):
        profile = engines.embedded(threads=1, embedding_cache_bytes=0, max_running=running)
        with engines.running(profile) as engine:
            times, late = one_by_one(engine, other, running, pairs, say)
    kept = ratio(times["without words"], times["with words"])  # of rates: the times' inverse
    rates = {way: median([running / seconds for seconds in times[way]]) for way in times}
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
                rows=[[way, s.value, s.low, s.high] for way, s in rates.items()],
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
                        x=list(rates),
                        y=[s.value for s in rates.values()],
                        low=[s.low for s in rates.values()],
                        high=[s.high for s in rates.values()],
                    )
                ],
            )
        ],
        notes=[NOTE, f"{LATE}: {late:.0%}."],
        data={"seconds": times, "pictures": running, "late": late},
    )


@dataclass(frozen=True, slots=True)
class Interval:
    """From one drawn picture to the next, in seconds. words: whether the first is given any; late:
    whether its file was still in the making when the next picture was drawn."""

    seconds: float
    words: bool
    late: bool


def one_by_one(
    engine: Engine, other: Finisher, running: int, pairs: int, say: Say
) -> tuple[Times, float]:
    """Seconds of each pair's pictures by their way, and the share of files with words that were
    late.

    Twice `running` pictures are asked for at any time; a first pair fills the engine, uncounted.
    """
    pair = 2 * running
    taken: list[Interval] = []
    for interval in intervals(engine, other, running, pair * (pairs + 1)):
        taken.append(interval)
        if len(taken) % pair == 0:
            say(f"{len(taken) // pair - 1} of {pairs} pairs")
    counted = taken[pair:]
    times: Times = {way: [] for way in WAYS}
    for first in range(0, len(counted), pair):
        for way, words in WAYS.items():
            own = [one.seconds for one in counted[first : first + pair] if one.words == words]
            times[way].append(sum(own))
    late = sum(one.words and one.late for one in counted)
    return times, late / (running * pairs)


def intervals(engine: Engine, other: Finisher, running: int, number: int) -> Iterator[Interval]:
    """So many, of pictures with words and without in turn."""
    left = iter(range(number + 1))
    drawn: SimpleQueue[tuple[float, Future[Drawn]]] = SimpleQueue()

    def note(one: Future[Drawn]) -> None:
        drawn.put((time.perf_counter(), one))  # the device thread's time: ours may be busy then

    def ask() -> None:
        if (seed := next(left, None)) is not None:
            # The first take ever more steps, so that from then on one picture ends at a time.
            job = Job("t2i", seed, SIDE, SIDE, min(STEPS, 1 + seed * STEPS // running))
            engine.submit(f"picture-{seed}", job.params).add_done_callback(note)

    def hand_over(words: bool) -> float:
        ended, one = drawn.get(timeout=ANSWER_WITHIN_S)
        ask()
        other.send(one.result().pictures[0], words)
        return ended

    for _ in range(2 * running):
        ask()
    words = True
    began = hand_over(words)
    for picture in range(1, number + 1):
        # Even and odd places of a crowd change parts with every crowd.
        following = (picture + picture // running) % 2 == 0
        ended = hand_over(following)
        yield Interval(ended - began, words, late=other.receive() > ended)
        began, words = ended, following
    other.receive()


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
        other.receive()  # it is warm
        yield other
    finally:
        ours.close()
        process.join(ANSWER_WITHIN_S)


def finish_all(connection: Connection, core: int) -> None:
    """The other process: answer each picture with the time of its file, until nobody asks.

    Raises RuntimeError where words could not be set.
    """
    os.sched_setaffinity(0, {core})
    cv2.setNumThreads(1)
    rendering.warm()
    connection.send(time.perf_counter())
    for turn in count():
        try:
            picture, words = connection.recv()
        except EOFError:
            return
        spec = jobs.spec(turn % jobs.COUNT, turn) if words else None
        done = finish_picture(picture, spec, PLACEMENT, Output("jpeg"), {})
        if words and (done.report is None or len(done.report.layers) != 4):
            raise RuntimeError(f"the words could not be set: {done.warnings}")
        connection.send(time.perf_counter())
