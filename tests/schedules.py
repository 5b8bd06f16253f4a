"""Scheduler settings that checkpoints come with, each one of which draws other pictures."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from diffusers import (
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)

Schedulers = Mapping[str, Callable[[], Any]]

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
LEADING = {**BETAS, "timestep_spacing": "leading", "steps_offset": 1}
TRAILING = {**BETAS, "timestep_spacing": "trailing"}
DYNAMIC = {"use_dynamic_shifting": True, "base_image_seq_len": 16, "max_image_seq_len": 64}

DISCRETE: Schedulers = {
    "base": partial(EulerDiscreteScheduler, **LEADING),
    "turbo": partial(EulerAncestralDiscreteScheduler, **TRAILING),
    "trailing": partial(EulerDiscreteScheduler, **TRAILING),
    "linspace": partial(EulerDiscreteScheduler, **BETAS, prediction_type="v_prediction"),
    "karras": partial(EulerDiscreteScheduler, **LEADING, use_karras_sigmas=True),
    "karras ends": partial(
        EulerDiscreteScheduler, **BETAS, use_karras_sigmas=True, sigma_min=0.05, sigma_max=10.0
    ),
    "exponential": partial(EulerDiscreteScheduler, **TRAILING, use_exponential_sigmas=True),
    "zero snr": partial(
        EulerDiscreteScheduler,
        **TRAILING,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
    ),
    "cosine": partial(EulerDiscreteScheduler, beta_schedule="squaredcos_cap_v2"),
    "linear": partial(EulerDiscreteScheduler, timestep_spacing="trailing"),
    "trained betas": partial(
        EulerDiscreteScheduler, trained_betas=np.linspace(1e-4, 0.01, 1000).tolist()
    ),
}
FLOW: Schedulers = {
    "plain": partial(FlowMatchEulerDiscreteScheduler),
    "shifted": partial(FlowMatchEulerDiscreteScheduler, shift=3.0),
    "dynamic": partial(FlowMatchEulerDiscreteScheduler, shift=3.0, **DYNAMIC),
    "dynamic linear": partial(
        FlowMatchEulerDiscreteScheduler, **DYNAMIC, time_shift_type="linear", max_shift=2.0
    ),
    "karras": partial(FlowMatchEulerDiscreteScheduler, shift=3.0, use_karras_sigmas=True),
    "exponential": partial(FlowMatchEulerDiscreteScheduler, **DYNAMIC, use_exponential_sigmas=True),
    "terminal": partial(
        FlowMatchEulerDiscreteScheduler, use_dynamic_shifting=True, shift_terminal=0.02
    ),
    "terminal karras": partial(
        FlowMatchEulerDiscreteScheduler, shift=2.0, shift_terminal=0.1, use_karras_sigmas=True
    ),
}
