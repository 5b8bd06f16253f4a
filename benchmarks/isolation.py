"""What setting words takes off the pictures a second of an engine that has a core of its own.

The engine runs in this process on one core. Each picture it draws goes to another process on
another core, which cuts it to its placement, sets four layers on it or none, and writes a JPEG.
Blocks of pictures with words and without follow each other in turn, the engine always full.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import Connection
from queue import SimpleQueue

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import adverts, engines, profiles
from benchmarks.jobs import Job
from benchmarks.report import Figure, Plot, Report, Series, Table
from benchmarks.suite import Say
from benchmarks.turns import Times, median, ratio
from deployments.diffusion.engine import Engine
from deployments.handover import Drawn
from deployments.postprocess import render
from deployments.postprocess.finish import finish
from deployments.postprocess.spec import Output

PLACEMENT = "feed_square"
SIDE, STEPS = 256, 8
RUNNING = 8  # rows of the engine
ASKED = 2 * RUNNING  # at any time: there are rows to run while a block's files are waited for
PICTURES = RUNNING  # of one block
ROUNDS = 20
BOUND = 0.98
ANSWER_WITHIN_S = 120.0
WAYS = {"without words": False, "with words": True}
NOTE = (
    f"The embedded model draws {SIDE}x{SIDE} with one thread on one core, {RUNNING} requests at a "
    f"time and as many waiting; a process on the other core makes each a JPEG at {PLACEMENT}, with "
    f"four layers of words or without: {PICTURES} pictures with, {PICTURES} without, and so on "
    "without a pause. A block's time runs from the last drawn picture of the block before to its "
    "own; its files are waited for before it is the next one's turn."
)


class Finisher:
    """The process that finishes pictures; this side of it, used by one thread at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, picture: NDArray[np.uint8], words: bool) -> None:
        """Hand a picture over: uint8 (H, W, 3)."""
        self._connection.send((picture, words))

    def receive(self) -> int:
        """Bytes of the next finished file."""
        if not self._connection.poll(ANSWER_WITHIN_S):
            raise TimeoutError("the finishing process does not answer")
        size: int = self._connection.recv()
        return size


def measure(quick: bool, say: Say) -> Report:
    """Pictures a second with words over those without."""
    pictures, rounds = (4, 1) if quick else (PICTURES, ROUNDS)
    engine_core, words_core = two_cores()
    with finisher(words_core) as other, on_core(engine_core):
        profile = profiles.embedded(threads=1, embedding_cache_bytes=0, max_running=RUNNING)
        with engines.running(profile) as engine:
            times = in_blocks(engine, other, rounds, pictures, say)
    kept = ratio(times["without words"], times["with words"])  # of rates: the times' inverse
    rates = {way: [pictures / seconds for seconds in taken] for way, taken in times.items()}
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
        data={"seconds": times, "pictures": pictures},
    )


def in_blocks(engine: Engine, other: Finisher, rounds: int, pictures: int, say: Say) -> Times:
    """Seconds of blocks of so many pictures, one of each way a round; every other round backwards.

    `ASKED` pictures are asked for at any time. A first block without words fills the engine.
    Raises RuntimeError for an empty file.
    """
    ways = list(WAYS)
    blocks = [ways[0]]
    for turn in range(rounds):
        blocks += ways if turn % 2 == 0 else reversed(ways)
    left = iter(range(len(blocks) * pictures))
    drawn: SimpleQueue[tuple[float, Future[Drawn]]] = SimpleQueue()

    def note(one: Future[Drawn]) -> None:
        drawn.put((time.perf_counter(), one))  # the device thread's time: ours may be busy then

    def ask() -> None:
        if (seed := next(left, None)) is not None:
            job = Job("t2i", seed, SIDE, SIDE, STEPS)
            engine.submit(f"picture-{seed}", job.params).add_done_callback(note)

    for _ in range(ASKED):
        ask()
    times: Times = {way: [] for way in ways}
    began = ended = 0.0
    for number, way in enumerate(blocks):
        for _ in range(pictures):
            ended, one = drawn.get(timeout=ANSWER_WITHIN_S)
            ask()
            other.send(one.result().pictures[0], WAYS[way])
        if not all(other.receive() for _ in range(pictures)):
            raise RuntimeError("a picture came out empty")
        if number:
            times[way].append(ended - began)
            say(f"{number} of {2 * rounds} blocks")
        began = ended
    return times


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
    """The other process: answer each picture with the bytes of its file, until nobody asks."""
    os.sched_setaffinity(0, {core})
    cv2.setNumThreads(1)
    render.warm()
    connection.send(1)
    for turn in count():
        try:
            picture, words = connection.recv()
        except EOFError:
            return
        spec = adverts.spec(turn % adverts.COUNT, turn) if words else None
        done = finish(picture, spec, PLACEMENT, Output("jpeg"), {})
        connection.send(len(done.data))
        if words and (done.report is None or len(done.report.layers) != 4):
            raise RuntimeError(f"the words could not be set: {done.warnings}")
