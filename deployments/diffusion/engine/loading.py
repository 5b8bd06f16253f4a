"""Loading until it works: a failed attempt is a phase with its reason, and is made again.

What can never be served is refused once and for all: the phase stays until the engine ends.
"""

import gc
import logging
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from deployments.diffusion.engine.admission import Admission
from deployments.diffusion.engine.clock import DeviceClock
from deployments.diffusion.engine.health import require_device
from deployments.diffusion.engine.preparation import Preparation
from deployments.diffusion.families import Family, plan_passes
from deployments.diffusion.memory import NothingFits, Recovery, attempt, is_out_of_memory
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import (
    NO_HURRY,
    CostModel,
    GenerationParams,
    Request,
    Row,
    forward_work,
)
from deployments.diffusion.sizes import parse_size
from deployments.diffusion.weights import ModelRefused, ModelUnavailable
from deployments.errors import GenerationFailed, RequestError
from deployments.handover import Given, Reference

log = logging.getLogger(__name__)
MAX_RETRY_S = 300.0
NO_NUMBERS = (
    "model.source: the model draws no numbers, though its weights are finite; set model.dtype to "
    "bfloat16 or float32, or give another checkpoint"
)


def load_until_ready(
    start: Callable[[], None], discard: Callable[[], None], admission: Admission, retry_s: float
) -> None:
    """Call `start` until it does not raise, with pauses of `retry_s`, doubling; stop when draining,
    and wait for that where it is refused for good.

    discard: forgets what a failed attempt left, so that its memory is free before the next one.
    """
    attempts = 1
    while failure := _failure(start):
        discard()
        gc.collect()
        if failure.final:
            admission.enter("failed", failure.reason)
            while admission.pause(MAX_RETRY_S):
                pass
            return
        again = f"{failure.reason} (attempt {attempts}; the next one in {retry_s:g} s)"
        admission.enter("failed", again)
        if not admission.pause(retry_s):
            return
        admission.enter("loading", failure.reason)
        attempts, retry_s = attempts + 1, min(2 * retry_s, MAX_RETRY_S)


class _Failure(NamedTuple):
    """Why a load failed, and whether another one would find the same."""

    reason: str
    final: bool = False


def _failure(start: Callable[[], None]) -> _Failure | None:
    """Why `start` failed, if it did; nothing of its frames is kept.

    Raises EngineDead where the device is lost: another attempt in this process would fail too.
    """
    try:
        start()
    except ModelUnavailable as error:
        log.warning("the model did not load: %s", error.in_full)
        return _Failure(str(error), isinstance(error, ModelRefused))
    except GenerationFailed:
        log.warning(NO_NUMBERS)
        return _Failure(NO_NUMBERS, final=True)
    except (NothingFits, RequestError) as error:
        log.warning(f"the model did not load: {error}")  # no record keeps the error, and its frames
        return _Failure(str(error))
    except Exception as error:
        require_device(error)
        if is_out_of_memory(error):
            return _Failure("the device's memory does not hold the model")
        log.exception("the model did not load")
        return _Failure("internal error while loading; see the log")
    return None


def warm_up(
    profile: DiffusionProfile,
    family: Family,
    preparation: Preparation,
    recovery: Recovery,
    clock: DeviceClock,
    cost: CostModel,
) -> None:
    """Every stage at the default size, in the device thread; `cost` learns how long they take."""
    width, height = parse_size(profile.sizes.default)
    request = _request(profile, family, width, height)
    for learner in (CostModel(), cost):  # the first pass pays for kernels and allocations
        (row,) = preparation.rows(request)
        with clock.timing(partial(learner.observe_step, forward_work([row]))):
            (velocity,) = recovery.run("forward", request, partial(family.velocity, [row]))
        decode = partial(family.decode, row.latents - row.sigmas[0] * velocity)
        with clock.timing(partial(learner.observe_decode, width * height)):
            recovery.by_vae("decode", request, width * height, decode)
    sizes = profile.sizes
    most = min(math.isqrt(sizes.max_pixels), sizes.max_side) // sizes.multiple * sizes.multiple
    for side in (sizes.min_side, most):
        other = _request(profile, family, side, side)
        error = attempt(partial(_time_step, other, family, preparation, clock, cost))
        if error:  # which is no reason not to serve: it may never be asked for
            log.warning("a step at %dx%d could not be timed: %r", side, side, error)
    if profile.references:
        side = math.isqrt(profile.references.max_pixels)
        picture = np.zeros((side, side, 3), np.uint8)
        given = Given(None, references=(Reference(picture),) * profile.references.most)
        other = _request(profile, family, width, height, given)
        error = attempt(partial(_time_step, other, family, preparation, clock, cost))
        if error:
            log.warning("a step with all references could not be timed: %r", error)
    if profile.model.compile and profile.engine.max_running > 1:
        for rows in _rows_together(profile, family, preparation):
            recovery.run("forward", request, partial(family.velocity, rows))
    clock.wait()


def _time_step(
    request: Request,
    family: Family,
    preparation: Preparation,
    clock: DeviceClock,
    cost: CostModel,
) -> None:
    """A step at another size, so that `cost` learns how time grows with it."""
    (row,) = preparation.rows(request)
    for learner in (CostModel(), cost):
        with clock.timing(partial(learner.observe_step, forward_work([row]))):
            family.velocity([row])


def _request(
    profile: DiffusionProfile,
    family: Family,
    width: int,
    height: int,
    given: Given | None = None,
) -> Request:
    params = GenerationParams("warm up", width, height, 1, seed=0)
    params = params if given is None else params.bringing(given)
    return Request("warm-up", params, given, NO_HURRY, plan_passes(params, profile, family))


def _rows_together(
    profile: DiffusionProfile, family: Family, preparation: Preparation
) -> Iterator[list[Row]]:
    """Small rows of one size, then of two where these share forwards, which takes a mask: each has
    compiled code of its own."""
    side = profile.sizes.min_side
    rows = []
    for height in (side, side, side + profile.sizes.multiple):
        rows += preparation.rows(_request(profile, family, side, height))
    yield rows[:2]
    if rows[1].batch_key == rows[2].batch_key:
        yield rows[1:]
