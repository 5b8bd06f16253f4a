"""Ways of drawing, each in a process of its own, timed there.

Two threads of one process that both run torch keep a pool of OpenMP threads each. As soon as the
pools have more threads than there are cores, libgomp puts waiting threads to sleep at once, and
every step of either takes twice as long: so what is compared never shares a process.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.baselines import Reloading, pipelines
from benchmarks.harness import ANSWER_WITHIN_S, Job, engines, fork, turns
from deployments.diffusion.profile import DiffusionProfile

Draw = Callable[[Job], NDArray[np.uint8]]
Make = Callable[[Path, torch.dtype], pipelines.Pipelines]


class DrawingProcess:
    """A process that draws one job after the other."""

    def __init__(self, process: ProcessPoolExecutor) -> None:
        self._process = process

    def draw(self, job: Job) -> NDArray[np.uint8]:
        """The picture of a job: uint8 (H, W, 3)."""
        return self._process.submit(_draw, job).result(ANSWER_WITHIN_S)

    def seconds(self, job: Job) -> float:
        """How long drawing takes, in its process."""
        return self._process.submit(_seconds, job).result(ANSWER_WITHIN_S)


@contextmanager
def by_pipelines(
    make: Make, folder: Path, dtype: torch.dtype, threads: int, **more: Any
) -> Iterator[DrawingProcess]:
    """diffusers' pipelines, come by as `make` does it. more: arguments of each call of theirs."""
    with _process(_load_pipelines, make, folder, dtype, threads, more) as process:
        yield process


@contextmanager
def by_reloading(
    folder: Path, dtype: torch.dtype, threads: int, **more: Any
) -> Iterator[DrawingProcess]:
    """One pipeline at a time. more: arguments of each call."""
    with _process(_load_reloading, folder, dtype, threads, more) as process:
        yield process


@contextmanager
def engine(profile: DiffusionProfile) -> Iterator[DrawingProcess]:
    """The profile's engine."""
    with _process(_load_engine, profile) as process:
        yield process


@contextmanager
def _process(load: Callable[..., None], *arguments: Any) -> Iterator[DrawingProcess]:
    """It loads from now on, while others are started beside it; the first job waits for it."""
    with fork(load, *arguments) as process:
        process.submit(_loaded)
        yield DrawingProcess(process)


# In that process ---------------------------------------------------------------------------------

held = ExitStack()
ways: list[Draw] = []  # the one that its process draws by


def _load_pipelines(
    make: Make, folder: Path, dtype: torch.dtype, threads: int, more: dict[str, Any]
) -> None:
    torch.set_num_threads(threads)
    ways.append(partial(pipelines.draw, make(folder, dtype), **more))


def _load_reloading(folder: Path, dtype: torch.dtype, threads: int, more: dict[str, Any]) -> None:
    torch.set_num_threads(threads)
    ways.append(partial(Reloading(folder, dtype, torch.device("cpu")).draw, **more))


def _load_engine(profile: DiffusionProfile) -> None:
    ways.append(partial(engines.draw, held.enter_context(engines.running(profile))))


def _loaded() -> None:
    """Nothing: a pool starts its process with the first thing that it is asked for."""


def _draw(job: Job) -> NDArray[np.uint8]:
    (way,) = ways
    return way(job)


def _seconds(job: Job) -> float:
    (way,) = ways
    return turns.timed(lambda: way(job))
