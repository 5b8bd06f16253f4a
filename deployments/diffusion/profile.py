"""What one model on one kind of hardware can do: the typed, strict form of a profile file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from deployments.diffusion.sizes import ByteSize, SizeRange, Strict

Quality = Literal["low", "medium", "high"]
StyleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
MAX_WEIGHT = 4.0  # of a style, either way
MAX_REFERENCES = 4  # of a request
EMBEDDED_MODEL = Path(__file__).parent / "embedded"
Relief = Literal[
    "resident", "tiled_decode", "text_encoder_on_host", "fp8_storage", "streamed_blocks"
]
RELIEFS: tuple[Relief, ...] = get_args(Relief)  # in order of preference


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

    @property
    def title(self) -> str:
        """What strangers may read of it: a hub id, or a folder's name without the way there."""
        return Path(self.source).expanduser().name if self.is_local else self.source

    @model_validator(mode="after")
    def _hub_is_pinned(self) -> Self:
        if not self.is_local and self.revision is None:
            raise ValueError(f"revision: pin the hub model {self.source!r} to a commit")
        return self


class ModelSource(Source):
    """Where the model comes from and how it runs.

    dtype: what the weights run in, whatever they are stored in; float16 for cards without bfloat16.
    variant: of the weights' files, fp16 for `model.fp16.safetensors`; the plain ones if left out.
    device: "auto" takes a CUDA device where there is one.
    architecture: a file that says what a hub model is made of, for plans made without it.
    memory_budget: what the process may take of the device, "22GiB" for example, and does not
    exceed; all that is free by default.
    compile: draw with compiled blocks and a compiled decoder: faster, for a longer start.
    residency: "always" keeps the weights where the plan puts them; "sleep" moves all of them to
    host memory after `sleep_after_s` seconds without work, and back for the next request.
    """

    family: Literal["z-image", "sdxl", "flux", "flux2-klein", "qwen-image", "qwen-image-edit"] = (
        "z-image"
    )
    dtype: Literal["float32", "bfloat16", "float16"]
    variant: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]+$")
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
    weight: float = Field(default=1.0, ge=-MAX_WEIGHT, le=MAX_WEIGHT)
    trigger: str | None = Field(default=None, min_length=1)
    licence: str = Field(min_length=1)
    description: str = Field(min_length=1)


class Hires(Strict):
    """Pictures larger than the profile's `sizes`, drawn in two passes.

    sizes: what may be asked for. strength: of the second pass, which redraws the first one's
    enlarged picture.
    """

    sizes: SizeRange
    strength: float = Field(gt=0, lt=1)


class References(Strict):
    """Pictures that a request may bring for the model to read beside its prompt.

    most: of one request. max_pixels: of each; a larger one is made smaller.
    """

    most: int = Field(ge=1, le=MAX_REFERENCES)
    max_pixels: int = Field(default=2**20, ge=64 * 64)


class StepCounts(Strict):
    """Denoising steps: what may be asked for, and what `quality` chooses."""

    default: int = Field(gt=0)
    max: int = Field(gt=0, le=200)
    quality: dict[Quality, int]

    def quality_of(self, steps: int) -> Quality:
        """The best quality that so many steps reach; low where they reach none."""
        reached = [name for name, count in self.quality.items() if count <= steps]
        return max(reached, key=lambda name: self.quality[name], default="low")

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
    flux2-klein: twice above 1; what was distilled takes none above it.
    qwen-image, qwen-image-edit: twice above 1.
    """

    default: float = Field(default=0.0, ge=0)
    max: float = Field(default=20.0, ge=0, le=100)

    @model_validator(mode="after")
    def _within_range(self) -> Self:
        if self.default > self.max:
            raise ValueError(f"guidance.default: {self.default:g} is above max, {self.max:g}")
        return self


CHANGEABLE = ("token_budget", "max_running", "max_waiting", "ageing_borders")
"""What a running engine reads anew of its limits."""


class EngineLimits(Strict):
    """How much the engine takes on at once.

    token_budget: transformer tokens of one forward, padding included.
    max_running: pictures of one priority being stepped. max_waiting: pictures queued behind them.
    ageing_borders: steps that bulk work waits for interactive work at a time.
    max_prompt_tokens: of a prompt in its chat template. embedding_cache_bytes: of prompts'
    embeddings kept for the next request with the same prompt. added_styles_bytes: of the styles
    that are added while it runs, in the model's dtype, all together; 0 takes none.
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
    added_styles_bytes: int = Field(default=0, ge=0)
    threads: int = Field(default=1, gt=0)
    load_retry_s: float = Field(default=5.0, gt=0, le=300)
    stall_s: float = Field(default=60.0, ge=2)


class DiffusionProfile(Strict):
    """One model on one kind of hardware."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    model: ModelSource
    sizes: SizeRange
    hires: Hires | None = None
    references: References | None = None
    steps: StepCounts
    guidance: Guidance = Guidance()
    default_strength: float = Field(default=0.6, gt=0, le=1)
    max_n: int = Field(default=8, ge=1, le=10)
    engine: EngineLimits
    styles: dict[StyleName, Style] = Field(default={})

    def limits_with(self, changes: Mapping[str, Any]) -> EngineLimits:
        """The engine's limits, changed while it runs. Raises ValueError for what cannot be."""
        for name in changes:
            if name not in CHANGEABLE:
                read = "is read at the start alone: change the profile and deploy anew"
                what = (
                    read if name in EngineLimits.model_fields else "is none of the engine's limits"
                )
                raise ValueError(
                    f"user_config: {name} {what}; while it runs {', '.join(CHANGEABLE)} may change"
                )
        limits = EngineLimits.model_validate({**self.engine.model_dump(), **changes})
        self._check_places(limits)
        return limits

    @model_validator(mode="after")
    def _n_fits_the_engine(self) -> Self:
        self._check_places(self.engine)
        return self

    def _check_places(self, limits: EngineLimits) -> None:
        places = limits.max_running + limits.max_waiting
        if self.max_n > places:
            raise ValueError(f"max_n: {self.max_n} pictures need more than the {places} places")

    @model_validator(mode="after")
    def _styles_act_on_what_is_written(self) -> Self:
        if self.model.compile and self.styles:
            raise ValueError(
                "model.compile: compiled blocks do not notice styles; set it to false, or leave "
                "the styles out"
            )
        if self.model.compile and self.engine.added_styles_bytes:
            raise ValueError(
                "engine.added_styles_bytes: compiled blocks do not notice styles; set it to 0, or "
                "model.compile to false"
            )
        return self
