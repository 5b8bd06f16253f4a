"""The engine in this process, ready and closed again, and a profile with its caches off."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.jobs import Job
from deployments.diffusion.engine import Engine
from deployments.diffusion.families.load import load_family
from deployments.diffusion.profile import DiffusionProfile
from serve.profiles import load_profile

READY_WITHIN_S = 300.0
ANSWER_WITHIN_S = 600.0
NUMBERS = count()


def embedded(**engine: Any) -> DiffusionProfile:
    """The packaged profile of the embedded model, with other settings of its engine."""
    return changed(load_profile("embedded"), **engine)


def changed(profile: DiffusionProfile, **engine: Any) -> DiffusionProfile:
    """The profile with other settings of its engine, checked anew."""
    told = profile.model_dump(mode="json")
    return DiffusionProfile.model_validate({**told, "engine": {**told["engine"], **engine}})


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
