"""What is worth knowing of a picture's making, as texts by name: enough to make it again.

The names are those of the engine's parameters and of the request's fields. What is text stands as
it is, all else as JSON; what was not asked for is not there.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployments.postprocess.schema import Extension, Output, OverlaySpec

TEXTS = frozenset(
    {
        "signboard",
        "model",
        "revision",
        "drawer",
        "id",
        "prompt",
        "negative_prompt",
        "style",
        "placement",
        "extend",
        "output_format",
    }
)
_MOST_DIGITS, _DEEPEST = 20, 16  # of a whole number, and of lists inside each other
PROMPTS = frozenset({"prompt", "negative_prompt"})


@dataclass(frozen=True, slots=True)
class Finish:
    """How a drawn picture was finished: its words, their layout, its format."""

    overlay: OverlaySpec | None
    placement: str | None
    extension: Extension
    layout: int
    output: Output


def of_picture(
    maker: Mapping[str, str],
    asked: Mapping[str, Any],
    picture_id: str,
    seed: int,
    how: Finish,
) -> dict[str, str]:
    """How one picture came to be. maker: what drew it (signboard's version, model, revision).

    asked: the engine's parameters; `index` is the picture's place among the `n` of its request.
    """
    values = {
        **asked,
        "id": picture_id,
        "seed": seed,
        "references": asked.get("references") or None,
        "overlay": how.overlay and how.overlay.model_dump(mode="json"),
        "placement": how.placement,
        "extend": None if how.extension == "auto" else how.extension,
        "layout": how.layout or None,
        "output_format": how.output.format,
        "output_compression": how.output.compression,
    }
    if "seed" in asked:
        values["index"] = seed - asked["seed"]
    return {**maker, **_as_texts(values)}


def without_prompts(facts: Mapping[str, str]) -> dict[str, str]:
    """The same for a file that is not to tell how the picture was described."""
    return {name: value for name, value in facts.items() if name not in PROMPTS}


def values(facts: Mapping[str, str]) -> dict[str, Any]:
    """Facts of a file as values again. Raises ValueError naming one that is none, or no value that
    a request could have."""
    found: dict[str, Any] = {}
    for name, text in facts.items():
        try:
            found[name] = text if name in TEXTS else _as_value(text)
            json.dumps(found[name], ensure_ascii=False).encode()  # half of a pair cannot be sent
        except (ValueError, RecursionError):
            raise ValueError(f"the fact {name!r} is damaged") from None
    return found


def _as_value(text: str) -> Any:
    value = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    left = [(value, 0)]
    while left:
        one, depth = left.pop()
        if depth > _DEEPEST:
            raise ValueError("lists too deep inside each other")
        if isinstance(one, list | dict):
            inside = one if isinstance(one, list) else one.values()
            left += [(part, depth + 1) for part in inside]
    return value


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("a number of too many digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("no number")
    return number


def _as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value
        if name in TEXTS
        else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for name, value in values.items()
        if value is not None
    }
