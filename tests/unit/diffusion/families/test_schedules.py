"""Sigmas, timesteps and noise scales are those of diffusers' schedulers, to the bit."""

import numpy as np
import pytest
import torch
from diffusers import (
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from diffusers.pipelines.flux.pipeline_flux import calculate_shift

from deployments.diffusion.families.parts.schedules import DiscreteSchedule, FlowSchedule
from tests.tiny_families import FLUX_SCHEDULERS, SDXL_SCHEDULERS

STEPS = (1, 2, 3, 4, 7, 8, 20, 30, 50, 60, 200)


@pytest.mark.parametrize("name", SDXL_SCHEDULERS)
def test_discrete_schedules(name: str) -> None:
    scheduler: EulerDiscreteScheduler | EulerAncestralDiscreteScheduler = SDXL_SCHEDULERS[name]
    schedule = DiscreteSchedule.read({"_class_name": type(scheduler).__name__, **scheduler.config})
    for steps in STEPS:
        scheduler.set_timesteps(steps)
        sigmas = schedule.sigmas(steps)
        assert torch.equal(sigmas, scheduler.sigmas)
        assert schedule.noise_scale(sigmas) == scheduler.init_noise_sigma
        told = [schedule.timestep(sigma.item()) for sigma in sigmas[:-1]]
        if name == "linspace":  # found again from float32 sigmas; the others are whole numbers
            assert np.allclose(told, scheduler.timesteps, rtol=0, atol=1e-4)
        else:
            assert told == scheduler.timesteps.tolist()


def test_trailing_steps_are_as_many_as_asked_for() -> None:
    """numpy.arange, as diffusers calls it, rounds to one more for these."""
    schedule = DiscreteSchedule.read(
        {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"}
    )
    for steps in (61, 103, 121, 122):
        assert len(schedule.sigmas(steps)) == steps + 1


@pytest.mark.parametrize("name", FLUX_SCHEDULERS)
def test_flow_schedules(name: str) -> None:
    scheduler: FlowMatchEulerDiscreteScheduler = FLUX_SCHEDULERS[name]
    config = scheduler.config
    schedule = FlowSchedule.read({"_class_name": type(scheduler).__name__, **config})
    for steps in STEPS:
        for image_tokens in (16, 24, 1024, 4096):
            mu = calculate_shift(
                image_tokens,
                config.base_image_seq_len,
                config.max_image_seq_len,
                config.base_shift,
                config.max_shift,
            )
            scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu)
            assert torch.equal(schedule.sigmas(steps, image_tokens), scheduler.sigmas)
