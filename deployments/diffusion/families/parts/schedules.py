"""Which sigmas a picture passes through, read from a checkpoint's scheduler config.

Computed in the arithmetic and dtypes of diffusers' schedulers; no scheduler object is kept. What a
config asks for and is not here is refused when the model is loaded.
"""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from diffusers.schedulers.scheduling_euler_discrete import (
    betas_for_alpha_bar,
    rescale_zero_terminal_snr,
)
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from deployments.diffusion.weights import ModelRefused

OFF = Literal[False] | None
KARRAS_RHO = 7.0  # of Karras et al., Elucidating the Design Space of Diffusion-Based Models
LEAST_ALPHA = 2**-24  # cumulated, where the last one would be 0: sigma stays finite

Sigma = Annotated[float, Field(gt=0)] | None


class Schedule(BaseModel):
    """A scheduler config; fields that are absent have the defaults of diffusers' class.

    sigma_min, sigma_max: the ends of Karras' and of exponential spacing; else the schedule's own.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    class_name: str = Field(alias="_class_name")
    num_train_timesteps: int = Field(default=1000, gt=0)
    use_karras_sigmas: bool | None = False
    use_exponential_sigmas: bool | None = False
    use_beta_sigmas: OFF = False
    sigma_min: Sigma = None
    sigma_max: Sigma = None

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Self:
        """Raises ModelRefused, naming the entry, for a schedule that is not built here."""
        try:
            return cls.model_validate(dict(config))
        except ValidationError as error:
            first = error.errors()[0]
            entry = ".".join(map(str, first["loc"]))
            raise ModelRefused(
                f"scheduler_config.json: {entry}: {first['input']!r} is not supported; "
                f"{first['msg'].lower()}"
            ) from error

    @field_validator("use_exponential_sigmas")
    @classmethod
    def _is_the_only_spacing(cls, asked: bool | None, info: ValidationInfo) -> bool | None:
        if asked and info.data.get("use_karras_sigmas"):
            raise ValueError("use_karras_sigmas is asked for as well, and one excludes the other")
        return asked

    @property
    def _is_respaced(self) -> bool:
        return bool(self.use_karras_sigmas or self.use_exponential_sigmas)

    def _respaced(self, sigmas: NDArray[Any]) -> NDArray[Any]:
        """As many sigmas between the same ends, spaced as the config asks; falling."""
        first = self.sigma_max or sigmas[0].item()
        last = self.sigma_min or sigmas[-1].item()
        if self.use_karras_sigmas:
            begin, end = first ** (1 / KARRAS_RHO), last ** (1 / KARRAS_RHO)
            spaced: NDArray[Any] = begin + np.linspace(0, 1, len(sigmas)) * (end - begin)
            return spaced**KARRAS_RHO
        if self.use_exponential_sigmas:
            return np.exp(np.linspace(math.log(first), math.log(last), len(sigmas)))
        return sigmas


class FlowSchedule(Schedule):
    """FlowMatchEulerDiscreteScheduler: sigmas fall from 1, shifted towards noise.

    The shift is fixed, or grows with the picture (`use_dynamic_shifting`). Stochastic sampling is
    refused: diffusers' pipelines draw its noise from no seed.
    """

    class_name: Literal["FlowMatchEulerDiscreteScheduler"] = Field(alias="_class_name")
    num_train_timesteps: Literal[1000] = 1000
    shift: float = Field(default=1.0, gt=0)
    use_dynamic_shifting: bool = False
    base_shift: float = 0.5
    max_shift: float = 1.15
    base_image_seq_len: int = 256
    max_image_seq_len: int = 4096
    time_shift_type: Literal["exponential", "linear"] = "exponential"
    shift_terminal: float | None = Field(default=None, ge=0, lt=1)
    invert_sigmas: OFF = False
    stochastic_sampling: OFF = False
    use_flow_sigmas: OFF = False

    @field_validator("max_image_seq_len")
    @classmethod
    def _is_another_length(cls, tokens: int, info: ValidationInfo) -> int:
        if tokens == info.data.get("base_image_seq_len"):
            raise ValueError("base_image_seq_len is the same, so no slope leads from one to it")
        return tokens

    def sigmas(
        self, even: NDArray[Any], image_tokens: int, mu: float | None = None
    ) -> torch.Tensor:
        """float32 (steps + 1,), the last one 0.

        even: (steps,) from 1 evenly down to 1/steps, as the family's pipeline computes them.
        image_tokens: of the picture, by which dynamic shifting goes. mu: where the family's
        pipeline has a rule of its own for it.
        """
        if mu is None:
            mu = self._mu(image_tokens)
        shifted = self._shifted(even.astype(np.float32), mu)
        below = 1 - shifted
        if self.shift_terminal and below[-1] > 0:  # nothing is stretched where all of them are 1
            shifted = 1 - below / (below[-1] / (1 - self.shift_terminal))
        sigmas = torch.from_numpy(self._respaced(shifted)).to(torch.float32)
        return torch.cat([sigmas, torch.zeros(1)])

    def _mu(self, image_tokens: int) -> float:
        """Linear in the tokens of the picture."""
        span = self.max_image_seq_len - self.base_image_seq_len
        slope = (self.max_shift - self.base_shift) / span
        return image_tokens * slope + (self.base_shift - slope * self.base_image_seq_len)

    def _shifted(self, even: NDArray[np.float32], mu: float) -> NDArray[Any]:
        """s * u / (1 + (s - 1) * u), which is s / (s + 1/u - 1) too.

        With dynamic shifting s is e^mu, or mu itself (`time_shift_type`).
        """
        if not self.use_dynamic_shifting:
            return self.shift * even / (1 + (self.shift - 1) * even)
        shift = math.exp(mu) if self.time_shift_type == "exponential" else mu
        return shift / (shift + (1 / even - 1) ** 1.0)


class DiscreteSchedule(Schedule):
    """EulerDiscreteScheduler and its ancestral form: sigmas of a trained noise schedule.

    Sigma is noise over signal, sqrt((1 - a) / a) with a the schedule's cumulated alpha.
    """

    class_name: Literal["EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"] = Field(
        alias="_class_name"
    )
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] = "linear"
    trained_betas: Annotated[list[float], Field(min_length=1)] | None = None
    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon"
    timestep_spacing: Literal["linspace", "leading", "trailing"] = "linspace"
    timestep_type: Literal["discrete"] = "discrete"
    steps_offset: int = 0
    interpolation_type: Literal["linear"] = "linear"
    rescale_betas_zero_snr: bool | None = False
    final_sigmas_type: Literal["zero"] = "zero"

    @field_validator("use_karras_sigmas", "use_exponential_sigmas", "rescale_betas_zero_snr")
    @classmethod
    def _is_not_ancestral(cls, asked: bool | None, info: ValidationInfo) -> bool | None:
        """diffusers' ancestral class knows no spacing; from a signal of zero its steps round too
        coarsely to be held against ours.
        """
        if asked and info.data.get("class_name") == "EulerAncestralDiscreteScheduler":
            raise ValueError("not with the ancestral scheduler: use EulerDiscreteScheduler")
        return asked

    @property
    def ancestral(self) -> bool:
        """Whether every step draws noise."""
        return self.class_name == "EulerAncestralDiscreteScheduler"

    def _betas(self) -> torch.Tensor:
        count = self.num_train_timesteps
        if self.trained_betas is not None:
            return torch.tensor(self.trained_betas, dtype=torch.float32)
        if self.beta_schedule == "squaredcos_cap_v2":
            cosine: torch.Tensor = betas_for_alpha_bar(count)
            return cosine
        if self.beta_schedule == "linear":
            return torch.linspace(self.beta_start, self.beta_end, count)
        return torch.linspace(self.beta_start**0.5, self.beta_end**0.5, count) ** 2

    @cached_property
    def _trained(self) -> NDArray[np.float32]:
        """Sigma of every trained timestep, rising."""
        betas = self._betas()
        if self.rescale_betas_zero_snr:
            betas = rescale_zero_terminal_snr(betas)
        alphas = torch.cumprod(1.0 - betas, dim=0)
        if self.rescale_betas_zero_snr:
            alphas[-1] = LEAST_ALPHA
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
        return torch.from_numpy(np.append(self._respaced(sigmas), 0.0).astype(np.float32))

    def timestep(self, sigma: float) -> float:
        """Where the trained sigmas reach `sigma`: what the model is told of it."""
        count = np.arange(len(self._trained))
        if self._is_respaced:  # between two timesteps diffusers goes by the logarithm then
            return float(np.interp(math.log(sigma), np.log(self._trained), count))
        found = float(np.interp(sigma, self._trained, count))
        nearest = round(found)
        return nearest if abs(found - nearest) < 1e-3 else found

    def noise_scale(self, sigmas: torch.Tensor) -> torch.Tensor:
        """Standard deviation of latents that are nothing but noise, before sigmas[0]."""
        if self.timestep_spacing == "leading":
            return (sigmas[0] ** 2 + 1) ** 0.5
        return sigmas[0]
