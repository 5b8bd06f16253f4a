"""A finished delivery as the client wants it: JSON in OpenAI's shape, or one picture's bytes."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from fastapi import Response
from pydantic import BaseModel

from deployments.diffusion.profile import StepCounts
from deployments.handover import Tokens
from deployments.postprocess.schema import Delivery, OverlayReport

FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/*": "any",
}
JSON = frozenset({"application/json", "application/*", "text/event-stream", "*/*"})
BROWSERS = "text/html"
FACTS = ("Id", "Seed", "Width", "Height", "Steps-Executed", "Cached", "Warnings", "Style")
"""What the headers of a raw picture tell, each under X-Signboard-."""


class Picture(BaseModel):
    """One file of an answer. width, height: pixels, as exported. Either b64_json or url.

    picture_index: which of the drawn pictures it shows. layout: which arrangement of the words, 0
    for the best. warnings: of this file alone.
    """

    id: str
    picture_index: int
    placement: str | None = None
    layout: int
    b64_json: str | None = None
    url: str | None = None
    seed: int
    width: int
    height: int
    overlay: OverlayReport | None = None
    warnings: list[str]


class InputTokens(BaseModel):
    """What the model read: of the prompts, and of a given picture."""

    text_tokens: int
    image_tokens: int


class Usage(BaseModel):
    """OpenAI's, of the whole request, in the model's own tokens; kept pictures say what they took.

    output_tokens: of all pictures as drawn.
    """

    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_tokens_details: InputTokens

    @classmethod
    def of(cls, tokens: Tokens) -> Self:
        """What `tokens` come to."""
        read = tokens.text + tokens.given
        return cls(
            total_tokens=read + tokens.drawn,
            input_tokens=read,
            output_tokens=tokens.drawn,
            input_tokens_details=InputTokens(text_tokens=tokens.text, image_tokens=tokens.given),
        )


class ImagesAnswer(BaseModel):
    """OpenAI's ImagesResponse with what Signboard adds.

    size: the first file's, as exported. quality: the best that the steps reach. drawn_size: as
    drawn, before it was fitted to a placement. timings_ms: wall milliseconds by stage. cached: the
    pictures were kept from before, no step was run.
    """

    created: int
    data: list[Picture]
    size: str
    quality: str
    output_format: str
    background: str
    usage: Usage
    id: str
    model: str
    style: str | None = None
    styles: list[dict[str, Any]] | None = None
    drawn_size: str
    steps_executed: int
    cached: bool
    timings_ms: dict[str, float]
    warnings: list[str]


def all_warnings(delivery: Delivery) -> list[str]:
    """What the client should know, each thing once."""
    of_pictures = (warning for picture in delivery.pictures for warning in picture.warnings)
    return list(dict.fromkeys((*delivery.warnings, *of_pictures)))


def images_answer(
    delivery: Delivery,
    *,
    model: str,
    steps: StepCounts,
    output_format: str,
    url_of: Callable[[str], str] | None = None,
) -> dict[str, Any]:
    """The fields of the ImagesAnswer, as `Pieces` take them: b64_json is bytes still.

    With `url_of`, from ids to URLs, pictures that are kept go by URL; those that could not be kept
    come along all the same. What there is not is absent, not null. steps: the profile's.
    """
    first = delivery.pictures[0]
    url_of = url_of if delivery.kept else None
    answer = ImagesAnswer(
        created=int(time.time()),
        data=[
            Picture(
                id=picture_id,
                picture_index=drawn,
                placement=picture.placement,
                layout=picture.layout,
                b64_json=None,
                url=url_of(picture_id) if url_of else None,
                seed=seed,
                width=picture.width,
                height=picture.height,
                overlay=picture.report,
                warnings=list(picture.warnings),
            )
            for picture_id, picture, drawn, seed in zip(
                delivery.ids, delivery.pictures, delivery.drawn, delivery.seeds, strict=True
            )
        ],
        size=f"{first.width}x{first.height}",
        quality=steps.quality_of(delivery.steps),
        output_format=output_format,
        background="opaque",
        usage=Usage.of(delivery.tokens),
        id=delivery.id,
        model=model,
        style=delivery.style,
        styles=_told(delivery.styles) or None,
        drawn_size=f"{delivery.drawn_size[0]}x{delivery.drawn_size[1]}",
        steps_executed=delivery.steps_executed,
        cached=delivery.cached,
        timings_ms=dict(delivery.timings_ms),
        warnings=all_warnings(delivery),
    )
    fields = answer.model_dump(mode="json", exclude_none=True)
    if url_of is None:
        for file, picture in zip(fields["data"], delivery.pictures, strict=True):
            file["b64_json"] = picture.data
    return fields


def _told(styles: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Several styles as they were asked for: a weight that was not is absent."""
    return [{name: value for name, value in one.items() if value is not None} for one in styles]


def as_bytes(delivery: Delivery) -> Response:
    """The only file's bytes, with the facts in headers."""
    (picture,) = delivery.pictures
    facts: dict[str, Any] = {
        "Id": delivery.id,
        "Seed": delivery.seeds[0],
        "Width": picture.width,
        "Height": picture.height,
        "Steps-Executed": delivery.steps_executed,
        "Cached": str(delivery.cached).lower(),
        "Warnings": json.dumps(all_warnings(delivery)),  # headers are ASCII
    }
    if delivery.style is not None:
        facts["Style"] = delivery.style
    if delivery.styles:
        facts["Styles"] = json.dumps(_told(delivery.styles))
    headers = {f"X-Signboard-{name}": str(value) for name, value in facts.items()}
    headers["Server-Timing"] = ", ".join(
        f"{stage};dur={milliseconds:.1f}" for stage, milliseconds in delivery.timings_ms.items()
    )
    return Response(picture.data, media_type=picture.media_type, headers=headers)


def picture_wanted(accept: str | None, *, asks_for_json: bool = False) -> str | None:
    """The format of the raw picture that `accept` prefers, "any" for image/*; None for JSON.

    asks_for_json: the request asks for what no raw picture holds; it gets JSON wherever `accept`
    allows that too. Who names text/html has chosen nothing: browsers and Java's own client send a
    list of what they can show, pictures among it. Of equal weights the first one named wins, as
    RFC 9110 (12.5.1) leaves open.
    """
    weights: dict[str, float] = {}
    for media_range in (accept or "").split(","):
        kind, _, parameters = media_range.partition(";")
        weights.setdefault(kind.strip().lower(), _weight(parameters))
    if BROWSERS in weights or (asks_for_json and any(weights.get(kind, 0.0) > 0 for kind in JSON)):
        return None
    known = {kind: weight for kind, weight in weights.items() if kind in FORMATS or kind in JSON}
    best = max(known, key=known.__getitem__, default="")
    return FORMATS.get(best) if known.get(best, 0.0) > 0 else None


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
