"""The engine in this process, ready and closed again."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

import numpy as np
from numpy.typing import NDArray

from benchmarks.jobs import Job
from deployments.diffusion.engine import Engine
from deployments.diffusion.families.load import load_family
from deployments.diffusion.profile import DiffusionProfile

READY_WITHIN_S = 300.0
ANSWER_WITHIN_S = 600.0
NUMBERS = count()


@contextmanager
def running(profile: DiffusionProfile) -> Iterator[Engine]:
    """The profile's engine, ready when the block is entered. Raises NotReady."""
    engine = Engine(profile, partial(load_family, profile))
    try:
        engine.wait_until_ready(READY_WITHIN_S)
        yield engine
    finally:
        engine.close()


def draw(engine: Engine, job: Job) -> NDArray[np.uint8]:
    """The picture of a job: uint8 (H, W, 3)."""
    answer = engine.submit(f"job-{next(NUMBERS)}", job.params, job.given)
    picture: NDArray[np.uint8] = answer.result(ANSWER_WITHIN_S).pictures[0]
    return picture
