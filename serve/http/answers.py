"""A finished delivery as the client wants it: JSON in OpenAI's shape, or one picture's bytes."""

import base64
import json
import time
from typing import Any

from fastapi import Response
from pydantic import BaseModel

from deployments.diffusion.params import GenerationParams
from deployments.postprocess.delivery import Delivery
from deployments.postprocess.overlay import OverlayReport


class Picture(BaseModel):
    """One picture of an answer. width, height: pixels, as exported."""

    b64_json: str
    seed: int
    width: int
    height: int
    overlay: OverlayReport | None


class ImagesAnswer(BaseModel):
    """OpenAI's ImagesResponse with what Signboard adds.

    size: as exported. drawn_size: as drawn, before it was fitted to a placement. timings_ms: wall
    milliseconds by stage.
    """

    created: int
    data: list[Picture]
    size: str
    quality: str
    output_format: str
    background: str
    id: str
    model: str
    style: str | None
    drawn_size: str
    steps_executed: int
    timings_ms: dict[str, float]
    warnings: list[str]


def all_warnings(delivery: Delivery) -> list[str]:
    """What the client should know, each thing once."""
    of_pictures = (warning for picture in delivery.pictures for warning in picture.warnings)
    return list(dict.fromkeys((*delivery.warnings, *of_pictures)))


def images_answer(
    delivery: Delivery, params: GenerationParams, *, model: str, quality: str, output_format: str
) -> ImagesAnswer:
    """What is answered as JSON."""
    first = delivery.pictures[0]
    return ImagesAnswer(
        created=int(time.time()),
        data=[
            Picture(
                b64_json=base64.b64encode(picture.data).decode("ascii"),
                seed=seed,
                width=picture.width,
                height=picture.height,
                overlay=picture.report,
            )
            for picture, seed in zip(delivery.pictures, delivery.seeds, strict=True)
        ],
        size=f"{first.width}x{first.height}",
        quality=quality,
        output_format=output_format,
        background="opaque",
        id=delivery.id,
        model=model,
        style=params.style,
        drawn_size=f"{params.width}x{params.height}",
        steps_executed=delivery.steps_executed,
        timings_ms=dict(delivery.timings_ms),
        warnings=all_warnings(delivery),
    )


def as_bytes(delivery: Delivery, style: str | None) -> Response:
    """The only picture's bytes, with the facts in headers."""
    (picture,) = delivery.pictures
    facts: dict[str, Any] = {
        "Id": delivery.id,
        "Seed": delivery.seeds[0],
        "Width": picture.width,
        "Height": picture.height,
        "Steps-Executed": delivery.steps_executed,
        "Warnings": json.dumps(all_warnings(delivery)),  # headers are ASCII
    }
    if style is not None:
        facts["Style"] = style
    headers = {f"X-Signboard-{name}": str(value) for name, value in facts.items()}
    headers["Server-Timing"] = ", ".join(
        f"{stage};dur={milliseconds:.1f}" for stage, milliseconds in delivery.timings_ms.items()
    )
    return Response(picture.data, media_type=picture.media_type, headers=headers)
