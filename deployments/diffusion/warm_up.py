"""What an engine runs before it takes requests, so that the first client does not pay for it."""

import time
from collections.abc import Iterator
from functools import partial

from deployments.diffusion.cost import CostModel
from deployments.diffusion.families import Family
from deployments.diffusion.params import NO_HURRY, GenerationParams
from deployments.diffusion.passes import plan_passes
from deployments.diffusion.preparation import Preparation
from deployments.diffusion.profile import DiffusionProfile, parse_size
from deployments.diffusion.recovery import Recovery
from deployments.diffusion.request import Generation, Request


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
) -> Iterator[list[Generation]]:
    """Small rows of one size, then of two, which need a mask: each has compiled code of its own."""
    side = profile.sizes.min_side
    rows = []
    for height in (side, side, side + profile.sizes.multiple):
        params = GenerationParams("warm up", side, height, 1, seed=0)
        passes = plan_passes(params, profile, family)
        rows += preparation.rows(Request("warm-up", params, None, NO_HURRY, passes))
    yield rows[:2]
    yield rows[1:]
