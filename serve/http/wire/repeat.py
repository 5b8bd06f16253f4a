"""What is answered of a file, and the request that makes the same picture again."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from deployments.diffusion.profile import MAX_REFERENCES
from deployments.errors import InvalidValue
from deployments.postprocess.files import Credentials
from serve.http.wire.bodies import GenerationBody, KeptEditBody, ReferringEditBody
from serve.http.wire.errors import validate

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"
FIELDS = (
    "prompt", "model", "n", "num_inference_steps", "guidance_scale", "negative_prompt", "style",
    "styles", "hires", "strength", "overlay", "placement", "extend", "output_format",
    "output_compression",
)  # fmt: skip
"""Facts that go into the body as they are."""


class Repeat(BaseModel):
    """A request. body: JSON. index: of the picture among those of the answer."""

    route: str
    body: dict[str, Any]
    index: int


class InspectionAnswer(BaseModel):
    """What a file says. kept: whether its picture is in this server's library; None where no
    server was asked. making: facts by name. repeat: None where the facts do not suffice."""

    format: str
    width: int
    height: int
    digital_source_type: str | None
    description: str | None
    making: dict[str, Any]
    credentials: Credentials | None
    kept: bool | None
    repeat: Repeat | None
    warnings: list[str]


def inspection_answer(told: dict[str, Any], kept: bool | None) -> InspectionAnswer:
    """told: by the names of Inspection's fields."""
    repeat, warnings = None, list(told["warnings"])
    if told["making"]:
        try:
            repeat = repeat_of(told["making"])
        except InvalidValue as error:
            warnings.append(error.message)
    return InspectionAnswer(**{**told, "kept": kept, "repeat": repeat, "warnings": warnings})


def repeat_of(making: Mapping[str, Any]) -> Repeat:
    """The request that made the picture of a file. making: its facts as values, by name.

    An edit starts from the pictures that the library keeps under its own picture's id. Raises
    InvalidValue where the facts are too few, or none that make a request.
    """
    needed = ("prompt", "seed", "width", "height", "index")
    missing = [name for name in needed if name not in making]
    if missing:
        raise InvalidValue(
            f"the file does not say enough to repeat it: it lacks {', '.join(missing)}",
            "image",
            "facts_missing",
        )
    overlay, read = making.get("overlay") or {}, making.get("references") or []
    layouts = overlay.get("layouts", 1) if isinstance(overlay, dict) else None
    numbers = [*(making[name] for name in needed[1:]), layouts, making.get("layout", 0)]
    if not all(isinstance(one, int) for one in numbers) or not _are_references(read):
        raise InvalidValue("the file's facts are no picture's", "image", "facts_damaged")
    body = {name: making[name] for name in FIELDS if making.get(name) is not None}
    body |= {
        "size": f"{making['width']}x{making['height']}",
        "seed": making["seed"] - making["index"],
    }
    index = making["index"] * layouts + making.get("layout", 0)
    kept = {"image_id": making.get("id")}
    if read:
        places = range(1, len(read) + 1)
        body["references"] = [{**kept, "variant": "reference", "number": n} for n in places]
    if "strength" not in making:
        if read:
            return _checked(EDITS, body, ReferringEditBody, index)
        return _checked(GENERATIONS, body, GenerationBody, index)
    body["image"] = {**kept, "variant": "source"}
    body.pop("hires", None)  # of pictures from a prompt alone
    return _checked(EDITS, body, KeptEditBody, index)


def _are_references(read: object) -> bool:
    return isinstance(read, list) and len(read) <= MAX_REFERENCES


def _checked(route: str, body: dict[str, Any], model: type[BaseModel], index: int) -> Repeat:
    validate(model, body)
    return Repeat(route=route, body=body, index=index)
