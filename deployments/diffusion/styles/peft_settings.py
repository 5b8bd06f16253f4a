"""What peft writes beside its matrices: how strongly they act.

Either `adapter_config.json` beside the file, or the file's own metadata, where diffusers keeps the
same settings for each component of a pipeline.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import regex
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core import from_json

IN_METADATA = "lora_adapter_metadata"  # where diffusers keeps them, as JSON
BESIDE = "adapter_config.json"
PATTERN_S = 0.05  # for one layer's name: a pattern may be made to take for ever
T = TypeVar("T")
CHANGED_MODEL = ("pissa", "olora", "corda")  # ways to begin that change the model's own weights


def _expression(pattern: str) -> str:
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_expression)]


class PeftSettings(BaseModel):
    """Of one component's layers, by peft's own names. Patterns are regular expressions that end a
    layer's name."""

    model_config = ConfigDict(frozen=True)  # what else peft says changes nothing

    r: int | None = None
    lora_alpha: float | None = None
    alpha: float | None = None  # what LoKr has in its place
    use_rslora: bool | None = None
    rank_pattern: dict[Pattern, int] | None = None
    alpha_pattern: dict[Pattern, float] | None = None
    init_lora_weights: bool | str | None = None

    @field_validator("init_lora_weights")
    @classmethod
    def _leaves_the_model(cls, way: bool | str | None) -> bool | str | None:
        if isinstance(way, str) and way.startswith(CHANGED_MODEL):
            raise ValueError(
                f"{way} has changed the model's own weights; save the adapter with peft's "
                "path_initial_model_for_weight_conversion"
            )
        return way

    def scale(self, layer: str, rank: int) -> float:
        """By what the product of a layer's matrices is multiplied. Raises ValueError where their
        rank is another one than is said."""
        said = _by_pattern(self.rank_pattern, layer, self.r)
        if said is not None and said != rank:
            raise ValueError(f"{layer!r} has rank {rank}, but its settings say {said}")
        alpha = _by_pattern(self.alpha_pattern, layer, self.lora_alpha)
        if alpha is None:
            return 1.0
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)

    def kronecker_scale(self, layer: str) -> float:
        """The same of LoKr's factors, whose ranks do not show in them."""
        alpha = _by_pattern(self.alpha_pattern, layer, self.alpha)
        rank = _by_pattern(self.rank_pattern, layer, self.r)
        return alpha / rank if alpha is not None and rank else 1.0


def _by_pattern(patterns: Mapping[str, T] | None, layer: str, usual: T | None) -> T | None:
    for pattern, value in (patterns or {}).items():
        try:
            found = regex.match(rf"(.*\.)?({pattern})$", layer, timeout=PATTERN_S)
        except TimeoutError:
            raise ValueError(f"{pattern!r} takes too long to find in {layer!r}") from None
        if found:
            return value
    return usual


def settings_in(metadata: Mapping[str, str]) -> dict[str, PeftSettings]:
    """Of each component that a file's metadata tell of; "" is any. Empty without them.

    Raises ValueError for what are no settings, or an adapter's of another model than ours.
    """
    told: dict[str, dict[str, Any]] = {}
    all_told = from_json(metadata.get(IN_METADATA, "{}"))
    if not isinstance(all_told, dict):
        raise ValueError(f"{IN_METADATA} in its metadata is no object")
    for key, value in all_told.items():
        component, _, name = key.rpartition(".")
        told.setdefault(component, {})[name] = value
    return {component: _read(one) for component, one in told.items()}


def settings_beside(text: str) -> dict[str, PeftSettings]:
    """Of any component, from the text of an adapter_config.json. Raises as `settings_in`."""
    return {"": _read(from_json(text))}


def _read(told: object) -> PeftSettings:
    try:
        return PeftSettings.model_validate(told)
    except ValidationError as error:
        (first, *_) = error.errors()
        where = ".".join(map(str, first["loc"])) or BESIDE
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None
