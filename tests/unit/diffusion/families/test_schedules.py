"""Sigmas, timesteps and noise scales are those of diffusers' schedulers, to the bit."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from diffusers.pipelines.z_image.pipeline_z_image import get_default_z_image_sigmas

from deployments.diffusion.families.parts.schedules import DiscreteSchedule, FlowSchedule
from tests.schedules import DISCRETE, FLOW

STEPS = (1, 2, 3, 4, 7, 8, 20, 30, 50, 60, 200)
Even = Callable[[int], Any]
EVEN: Mapping[str, Even] = {  # what a family's pipeline gives its scheduler
    "z-image": get_default_z_image_sigmas,
    "flux": lambda steps: np.linspace(1.0, 1 / steps, steps),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_schedules(name: str) -> None:
    scheduler: EulerDiscreteScheduler | EulerAncestralDiscreteScheduler = DISCRETE[name]()
    schedule = DiscreteSchedule.read({"_class_name": type(scheduler).__name__, **scheduler.config})
    for steps in STEPS:
        scheduler.set_timesteps(steps)
        sigmas = schedule.sigmas(steps)
        assert torch.equal(sigmas, scheduler.sigmas)
        assert schedule.noise_scale(sigmas) == scheduler.init_noise_sigma
        told = [schedule.timestep(sigma.item()) for sigma in sigmas[:-1]]
        if scheduler.config.timestep_spacing == "linspace" or name in ("karras", "exponential"):
            # found again from float32 sigmas; the others are whole numbers
            assert np.allclose(told, scheduler.timesteps, rtol=0, atol=1e-3)
        else:
            assert told == scheduler.timesteps.tolist()


def test_trailing_steps_are_as_many_as_asked_for() -> None:
    """numpy.arange, as diffusers calls it, rounds to one more for these."""
    schedule = DiscreteSchedule.read(
        {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"}
    )
    for steps in (61, 103, 121, 122):
        assert len(schedule.sigmas(steps)) == steps + 1


@pytest.mark.parametrize("family", EVEN)
@pytest.mark.parametrize("name", FLOW)
def test_flow_schedules(name: str, family: str) -> None:
    scheduler: FlowMatchEulerDiscreteScheduler = FLOW[name]()
    config = scheduler.config
    schedule = FlowSchedule.read({"_class_name": type(scheduler).__name__, **config})
    for steps in STEPS:
        if config.shift_terminal and steps == 1:
            continue  # diffusers divides 0 by 0
        even = EVEN[family](steps)
        for image_tokens in (16, 24, 1024, 4096):
            mu = calculate_shift(
                image_tokens,
                config.base_image_seq_len,
                config.max_image_seq_len,
                config.base_shift,
                config.max_shift,
            )
            scheduler.set_timesteps(sigmas=even, mu=mu)
            assert torch.equal(schedule.sigmas(np.array(even), image_tokens), scheduler.sigmas)


def test_a_single_step_begins_at_pure_noise_wherever_it_should_end() -> None:
    schedule = FlowSchedule.read(
        {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift_terminal": 0.1}
    )
    assert schedule.sigmas(np.ones(1), 16).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("schedule", "theirs"),
    [
        (FlowSchedule, FlowMatchEulerDiscreteScheduler()),
        (DiscreteSchedule, EulerDiscreteScheduler()),
        (DiscreteSchedule, EulerAncestralDiscreteScheduler()),
    ],
)
def test_every_entry_that_diffusers_has_is_known_and_has_its_default(
    schedule: type[FlowSchedule | DiscreteSchedule], theirs: Any
) -> None:
    ours = schedule.read({"_class_name": type(theirs).__name__}).model_dump()
    for entry, default in theirs.config.items():
        if not entry.startswith("_"):
            assert ours[entry] == default, entry
