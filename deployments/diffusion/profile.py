"""What one model on one kind of hardware can do: the typed, strict form of a profile file."""

import math
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from deployments.errors import InvalidValue

Quality = Literal["low", "medium", "high"]
Size = Annotated[str, Field(pattern=r"^[1-9]\d{1,4}x[1-9]\d{1,4}$")]
StyleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]

UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}

EMBEDDED_MODEL = Path(__file__).parent / "embedded"


def parse_size(size: str) -> tuple[int, int]:
    """ "WxH" as (width, height) in pixels."""
    width, _, height = size.partition("x")
    return int(width), int(height)


def parse_bytes(size: str | int) -> int:
    """ "22.5GiB" as bytes; a whole number is bytes already. Raises ValueError."""
    if isinstance(size, str):
        said = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]i?B)", size)
        if said is None:
            raise ValueError(f"{size!r} is no size: write 22.5GiB or 24GB, with {', '.join(UNITS)}")
        size = int(float(said[1]) * UNITS[said[2]])
    if size <= 0:
        raise ValueError("a size must be above 0")
    return size


ByteSize = Annotated[int, BeforeValidator(parse_bytes)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Strict):
    """Where weights come from.

    source: "embedded", a folder, or a hub id; a hub id needs a pinned `revision`.
    """

    source: str = Field(min_length=1)
    revision: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether the weights lie in a folder; a hub id is neither a path nor "embedded"."""
        return self.source == "embedded" or self.source.startswith((".", "/", "~"))

    @property
    def location(self) -> str:
        """What the loaders are given: a folder, or a hub id."""
        if self.source == "embedded":
            return str(EMBEDDED_MODEL)
        return str(Path(self.source).expanduser()) if self.is_local else self.source

    @model_validator(mode="after")
    def _hub_is_pinned(self) -> Self:
        if not self.is_local and self.revision is None:
            raise ValueError(f"revision: pin the hub model {self.source!r} to a commit")
        return self


class ModelSource(Source):
    """Where the model comes from and how it runs.

    dtype: what the weights run in, whatever they are stored in.
    device: "auto" takes a CUDA device where there is one.
    architecture: a file that says what a hub model is made of, for plans made without it.
    memory_budget: what the process may take of the device, "22.5GiB" for example; all by default.
    compile: draw with compiled blocks and a compiled decoder: faster, for a longer start.
    residency: "always" keeps the weights where the plan puts them; "sleep" moves all of them to
    host memory after `sleep_after_s` seconds without work, and back for the next request.
    """

    family: Literal["z-image", "sdxl", "flux"] = "z-image"
    dtype: Literal["float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda"] = "auto"
    architecture: str | None = None
    memory_budget: ByteSize | None = None
    compile: bool = False
    residency: Literal["always", "sleep"] = "always"
    sleep_after_s: float = Field(default=600.0, ge=0)


class Style(Source):
    """A low-rank adapter (LoRA) that a request may ask for by its name in the profile.

    file: safetensors in `source`. weight: how strongly it acts; 1 is as it was trained.
    trigger: words that it was trained with; put before a prompt that lacks them.
    """

    file: str = Field(pattern=r"^[^/].*\.safetensors$")
    weight: float = Field(default=1.0, ge=-4, le=4)
    trigger: str | None = Field(default=None, min_length=1)
    licence: str = Field(min_length=1)
    description: str = Field(min_length=1)

    def prompt(self, prompt: str) -> str:
        """The prompt that the model reads: "trigger, prompt"."""
        if self.trigger is None or self.trigger.casefold() in prompt.casefold():
            return prompt
        return f"{self.trigger}, {prompt}"


class SizeRange(Strict):
    """Sizes that may be asked for; both sides are multiples of `multiple` pixels."""

    multiple: int = Field(gt=0)
    min_side: int = Field(gt=0)
    max_side: int = Field(gt=0)
    max_pixels: int = Field(gt=0)
    default: Size
    recommended: tuple[Size, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_possible_sizes(self) -> Self:
        for size in (self.default, *self.recommended):
            try:
                self.check(*parse_size(size))
            except InvalidValue as error:
                raise ValueError(f"sizes: {error}") from None
        return self

    @property
    def recommended_pixels(self) -> tuple[tuple[int, int], ...]:
        """The recommended sizes as (width, height)."""
        return tuple(parse_size(size) for size in self.recommended)

    def nearest(self, aspect: float) -> tuple[int, int]:
        """The recommended size whose width / height is nearest to `aspect`, by ratio."""
        return min(self.recommended_pixels, key=lambda s: abs(math.log(s[0] / s[1] / aspect)))

    def check(self, width: int, height: int) -> None:
        """Raise InvalidValue("size") unless width x height pixels can be drawn."""
        hint = f"for example {', '.join(self.recommended[:3])}"
        for side in (width, height):
            if side % self.multiple:
                raise InvalidValue(
                    f"size: {width}x{height} is off the grid: both sides must be multiples of "
                    f"{self.multiple}, {hint}",
                    "size",
                    "size_off_grid",
                )
            if not self.min_side <= side <= self.max_side:
                raise InvalidValue(
                    f"size: the sides of {width}x{height} must lie between {self.min_side} and "
                    f"{self.max_side}, {hint}",
                    "size",
                    "size_out_of_range",
                )
        if width * height > self.max_pixels:
            raise InvalidValue(
                f"size: {width}x{height} has more than {self.max_pixels} pixels, {hint}",
                "size",
                "size_out_of_range",
            )


class Hires(Strict):
    """Pictures larger than the profile's `sizes`, drawn in two passes.

    sizes: what may be asked for. strength: of the second pass, which redraws the first one's
    enlarged picture.
    """

    sizes: SizeRange
    strength: float = Field(gt=0, lt=1)


class StepCounts(Strict):
    """Denoising steps: what may be asked for, and what `quality` chooses."""

    default: int = Field(gt=0)
    max: int = Field(gt=0, le=200)
    quality: dict[Quality, int]

    @model_validator(mode="after")
    def _within_range(self) -> Self:
        for name, steps in (("default", self.default), *self.quality.items()):
            if not 1 <= steps <= self.max:
                raise ValueError(f"steps.{name}: {steps} is not within 1..{self.max}")
        if set(self.quality) != {"low", "medium", "high"}:
            raise ValueError("steps.quality: name low, medium and high")
        return self


class Guidance(Strict):
    """How closely prompts are followed, on the family's scale.

    z-image: 0 is off; above it rows take part in forwards twice. sdxl: the same above 1.
    flux: an input of the model, free of cost; what was distilled without it takes only 0.
    """

    default: float = Field(default=0.0, ge=0)
    max: float = Field(default=20.0, ge=0, le=100)


class EngineLimits(Strict):
    """How much the engine takes on at once.

    token_budget: transformer tokens of one forward, padding included.
    max_running: pictures of one priority being stepped. max_waiting: pictures queued behind them.
    ageing_borders: steps that bulk work waits for interactive work at a time.
    max_prompt_tokens: of a prompt in its chat template. embedding_cache_bytes: of prompts'
    embeddings kept for the next request with the same prompt.
    threads: CPU threads that draw, when the device is the CPU; from two on, half of them decode
    while the others step.
    load_retry_s: until a failed load is tried again; twice as long each time, 300 at most.
    stall_s: that one encode, forward or decode may take before the device thread counts as stuck;
    ten times the predicted time of the largest one, where that is more.
    """

    token_budget: int = Field(gt=0)
    max_running: int = Field(gt=0)
    max_waiting: int = Field(ge=0)
    ageing_borders: int = Field(default=16, gt=0)
    max_prompt_tokens: int = Field(default=512, gt=0)
    embedding_cache_bytes: int = Field(default=32 * 2**20, ge=0)
    threads: int = Field(default=1, gt=0)
    load_retry_s: float = Field(default=5.0, gt=0, le=300)
    stall_s: float = Field(default=60.0, ge=2)


class DiffusionProfile(Strict):
    """One model on one kind of hardware."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    model: ModelSource
    sizes: SizeRange
    hires: Hires | None = None
    steps: StepCounts
    guidance: Guidance = Guidance()
    default_strength: float = Field(default=0.6, gt=0, le=1)
    max_n: int = Field(default=8, ge=1, le=8)
    engine: EngineLimits
    styles: dict[StyleName, Style] = {}

    @model_validator(mode="after")
    def _n_fits_the_engine(self) -> Self:
        places = self.engine.max_running + self.engine.max_waiting
        if self.max_n > places:
            raise ValueError(f"max_n: {self.max_n} pictures need more than the {places} places")
        return self

    @model_validator(mode="after")
    def _styles_act_on_what_is_written(self) -> Self:
        if self.model.compile and self.styles:
            raise ValueError(
                "model.compile: compiled blocks do not notice styles; set it to false, or leave "
                "the styles out"
            )
        return self
