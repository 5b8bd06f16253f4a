"""Which sigmas a picture passes through, read from a checkpoint's scheduler config.

Computed in the arithmetic and dtypes of diffusers' schedulers; no scheduler object is kept. What a
config asks for and is not here is refused when the model is loaded.
"""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.diffusion.weights import ModelUnavailable

OFF = Literal[False] | None


class Schedule(BaseModel):
    """A scheduler config; fields that are absent have the defaults of diffusers' class."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    class_name: str = Field(alias="_class_name")
    num_train_timesteps: int = 1000
    use_karras_sigmas: OFF = False
    use_exponential_sigmas: OFF = False
    use_beta_sigmas: OFF = False

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Self:
        """Raises ModelUnavailable, naming the entry, for a schedule that is not built here."""
        try:
            return cls.model_validate(dict(config))
        except ValidationError as error:
            first = error.errors()[0]
            entry = ".".join(map(str, first["loc"]))
            raise ModelUnavailable(
                f"scheduler_config.json: {entry}: {first['input']!r} is not supported; "
                f"{first['msg'].lower()}"
            ) from error


class FlowSchedule(Schedule):
    """FlowMatchEulerDiscreteScheduler: sigmas fall from 1, shifted towards noise.

    The shift is fixed, or grows with the picture (`use_dynamic_shifting`).
    """

    class_name: Literal["FlowMatchEulerDiscreteScheduler"] = Field(alias="_class_name")
    shift: float = 1.0
    use_dynamic_shifting: bool = False
    base_shift: float = 0.5
    max_shift: float = 1.15
    base_image_seq_len: int = 256
    max_image_seq_len: int = 4096
    time_shift_type: Literal["exponential"] = "exponential"
    shift_terminal: None = None
    invert_sigmas: OFF = False
    stochastic_sampling: OFF = False
    use_flow_sigmas: OFF = False

    def sigmas(self, steps: int, image_tokens: int) -> torch.Tensor:
        """float32 (steps + 1,): s * u / (1 + (s - 1) * u) for u from 1 to 1/steps, then 0.

        With dynamic shifting s = e^mu, mu linear in the tokens of the picture.
        """
        u = np.linspace(1.0, 1 / steps, steps).astype(np.float32)
        if self.use_dynamic_shifting:
            span = self.max_image_seq_len - self.base_image_seq_len
            slope = (self.max_shift - self.base_shift) / span
            mu = image_tokens * slope + (self.base_shift - slope * self.base_image_seq_len)
            shifted = math.exp(mu) / (math.exp(mu) + (1 / u - 1) ** 1.0)
        else:
            shifted = self.shift * u / (1 + (self.shift - 1) * u)
        return torch.cat([torch.from_numpy(shifted), torch.zeros(1)])


class DiscreteSchedule(Schedule):
    """EulerDiscreteScheduler and its ancestral form: sigmas of a trained noise schedule.

    Sigma is noise over signal, sqrt((1 - a) / a) with a the schedule's cumulated alpha.
    """

    class_name: Literal["EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"] = Field(
        alias="_class_name"
    )
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: Literal["linear", "scaled_linear"] = "linear"
    trained_betas: None = None
    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon"
    timestep_spacing: Literal["linspace", "leading", "trailing"] = "linspace"
    timestep_type: Literal["discrete"] = "discrete"
    steps_offset: int = 0
    interpolation_type: Literal["linear"] = "linear"
    rescale_betas_zero_snr: OFF = False
    final_sigmas_type: Literal["zero"] = "zero"

    @property
    def ancestral(self) -> bool:
        """Whether every step draws noise."""
        return self.class_name == "EulerAncestralDiscreteScheduler"

    @cached_property
    def _trained(self) -> NDArray[np.float32]:
        """Sigma of every trained timestep, rising."""
        count = self.num_train_timesteps
        if self.beta_schedule == "linear":
            betas = torch.linspace(self.beta_start, self.beta_end, count)
        else:
            betas = torch.linspace(self.beta_start**0.5, self.beta_end**0.5, count) ** 2
        alphas = torch.cumprod(1.0 - betas, dim=0)
        trained: NDArray[np.float32] = (((1 - alphas) / alphas) ** 0.5).numpy()
        return trained

    def _timesteps(self, steps: int) -> NDArray[np.float32]:
        """(steps,), falling."""
        count = self.num_train_timesteps
        if self.timestep_spacing == "linspace":
            return np.linspace(0, count - 1, steps, dtype=np.float32)[::-1]
        if self.timestep_spacing == "leading":
            spaced = (np.arange(steps) * (count // steps))[::-1]
            return spaced.astype(np.float32) + np.float32(self.steps_offset)
        # arange may round to one value more than there are steps
        return np.arange(count, 0, -count / steps)[:steps].round().astype(np.float32) - 1

    def sigmas(self, steps: int) -> torch.Tensor:
        """float32 (steps + 1,), the last one 0."""
        trained = self._trained
        sigmas = np.interp(self._timesteps(steps), np.arange(len(trained)), trained)
        return torch.from_numpy(np.append(sigmas, 0.0).astype(np.float32))

    def timestep(self, sigma: float) -> float:
        """Where the trained sigmas reach `sigma`: what the model is told of it."""
        found = float(np.interp(sigma, self._trained, np.arange(len(self._trained))))
        nearest = round(found)
        return nearest if abs(found - nearest) < 1e-3 else found

    def noise_scale(self, sigmas: torch.Tensor) -> torch.Tensor:
        """Standard deviation of latents that are nothing but noise, before sigmas[0]."""
        if self.timestep_spacing == "leading":
            return (sigmas[0] ** 2 + 1) ** 0.5
        return sigmas[0]
