"""Loading until it works: a failed attempt is a phase with its reason, and is made again."""

import gc
import logging
import time
from collections.abc import Callable, Iterator
from functools import partial

from deployments.diffusion.engine.admission import Admission
from deployments.diffusion.engine.preparation import Preparation
from deployments.diffusion.families import Family, plan_passes
from deployments.diffusion.memory import NothingFits, Recovery, is_out_of_memory
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import NO_HURRY, CostModel, GenerationParams, Request, Row
from deployments.diffusion.sizes import parse_size
from deployments.diffusion.weights import ModelUnavailable
from deployments.errors import RequestError

log = logging.getLogger(__name__)
MAX_RETRY_S = 300.0


def load_until_ready(
    start: Callable[[], None], discard: Callable[[], None], admission: Admission, retry_s: float
) -> None:
    """Call `start` until it does not raise, with pauses of `retry_s`, doubling; stop when draining.

    discard: forgets what a failed attempt left, so that its memory is free before the next one.
    """
    attempts = 1
    while reason := _failure(start):
        discard()
        gc.collect()
        again = f"{reason} (attempt {attempts}; the next one in {retry_s:g} s)"
        admission.enter("failed", again)
        if not admission.pause(retry_s):
            return
        admission.enter("loading", reason)
        attempts, retry_s = attempts + 1, min(2 * retry_s, MAX_RETRY_S)


def _failure(start: Callable[[], None]) -> str | None:
    """Why `start` failed, if it did; nothing of its frames is kept."""
    try:
        start()
    except (ModelUnavailable, NothingFits, RequestError) as error:
        log.warning(f"the model did not load: {error.__cause__ or error}")  # with the files' paths
        return str(error)
    except Exception as error:
        if is_out_of_memory(error):
            return "the device's memory does not hold the model"
        log.exception("the model did not load")
        return "internal error while loading; see the log"
    return None


def warm_up(
    profile: DiffusionProfile,
    family: Family,
    preparation: Preparation,
    recovery: Recovery,
    cost: CostModel,
) -> None:
    """Every stage at the default size, in the device thread; `cost` learns how long they take."""
    width, height = parse_size(profile.sizes.default)
    pixels = width * height
    params = GenerationParams("warm up", width, height, 1, seed=0)
    request = Request("warm-up", params, None, NO_HURRY, plan_passes(params, profile, family))
    for calibrating in (False, True):  # the first pass pays for kernels and allocations
        (row,) = preparation.rows(request)
        began = time.perf_counter()
        (velocity,) = recovery.run("forward", request, partial(family.velocity, [row]))
        stepped = time.perf_counter()
        decode = partial(family.decode, row.latents + velocity)
        recovery.by_vae("decode", request, pixels, decode)
        if calibrating:
            cost.observe_step(row.tokens, stepped - began)
            cost.observe_decode(pixels, time.perf_counter() - stepped)
    if profile.model.compile and profile.engine.max_running > 1:
        for rows in _rows_together(profile, family, preparation):
            recovery.run("forward", request, partial(family.velocity, rows))


def _rows_together(
    profile: DiffusionProfile, family: Family, preparation: Preparation
) -> Iterator[list[Row]]:
    """Small rows of one size, then of two, which need a mask: each has compiled code of its own."""
    side = profile.sizes.min_side
    rows = []
    for height in (side, side, side + profile.sizes.multiple):
        params = GenerationParams("warm up", side, height, 1, seed=0)
        passes = plan_passes(params, profile, family)
        rows += preparation.rows(Request("warm-up", params, None, NO_HURRY, passes))
    yield rows[:2]
    yield rows[1:]
