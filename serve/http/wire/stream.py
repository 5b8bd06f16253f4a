"""Server-sent events of a streamed request: OpenAI's partial and completed pictures, our progress.

The connection is answered once the request is accepted, so that refusals keep their status.
"""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from fastapi.responses import StreamingResponse

from deployments.diffusion.request import Event, GenerationParams, Preview, Progress
from deployments.errors import RequestError
from deployments.handover import Drawn
from deployments.postprocess.schema import Delivery, FinishSpec
from serve.http.rooms import Pending, Rooms
from serve.http.wire.answers import ImagesAnswer
from serve.http.wire.errors import STATUS, envelope_body

Kind = Literal["image_generation", "image_edit"]
MEDIA_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Streamed:
    """One streamed request: answer makes the JSON answer of what was delivered."""

    kind: Kind
    params: GenerationParams
    given: Pending | None
    spec: FinishSpec
    answer: Callable[[Delivery], ImagesAnswer]


async def stream_events(
    rooms: Rooms, request: Streamed, told: AsyncIterator[Event | Drawn]
) -> StreamingResponse:
    """The response whose body tells of one request. Raises what refuses the request."""
    first = await anext(told)
    return _response(_body(rooms, request, _chain(first, told)))


def complete(request: Streamed, delivery: Delivery) -> StreamingResponse:
    """The response to a request whose pictures need no drawing."""
    return _response(iter(list(_completed(request, delivery))))


def _response(body: AsyncIterator[str] | Iterator[str]) -> StreamingResponse:
    return StreamingResponse(body, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


async def _body(
    rooms: Rooms, request: Streamed, told: AsyncIterator[Event | Drawn]
) -> AsyncIterator[str]:
    try:
        async for event in told:
            if isinstance(event, Progress):
                yield _sse("signboard.progress", _progress(event))
            elif isinstance(event, Preview):
                yield _sse(f"{request.kind}.partial_image", await _partial(rooms, request, event))
            else:
                delivery = await rooms.finish(event, request.given, request.spec)
                for completed in _completed(request, delivery):
                    yield completed
    except RequestError as error:
        status = STATUS[type(error)]
        yield _sse("error", envelope_body(status, error.message, error.param, error.code))


async def _chain(
    first: Event | Drawn, rest: AsyncIterator[Event | Drawn]
) -> AsyncIterator[Event | Drawn]:
    yield first
    async for event in rest:
        yield event


def _sse(name: str, fields: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n"


def _progress(event: Progress) -> dict[str, Any]:
    return {
        "step": event.step,
        "steps": event.steps,
        "queue_position": event.position,
        "eta_s": round(event.eta_s, 3),
    }


async def _partial(rooms: Rooms, request: Streamed, event: Preview) -> dict[str, Any]:
    size = (request.params.width, request.params.height)
    data = await rooms.preview(event.pixels, size, request.spec.output)
    return {
        "b64_json": base64.b64encode(data).decode("ascii"),
        "partial_image_index": event.index,
        "picture_index": event.picture,
        "step": event.step,
        "created_at": int(time.time()),
        "size": f"{size[0]}x{size[1]}",
        "quality": "auto",
        "background": "opaque",
        "output_format": request.spec.output.format,
    }


def _completed(request: Streamed, delivery: Delivery) -> Iterator[str]:
    """The JSON answer's fields, once a file; its own size and warnings."""
    whole = request.answer(delivery).model_dump(mode="json")
    common = {name: value for name, value in whole.items() if name not in ("data", "created")}
    for file in whole["data"]:
        own = {"size": f"{file['width']}x{file['height']}", "created_at": whole["created"]}
        own["warnings"] = list(dict.fromkeys((*delivery.warnings, *file["warnings"])))
        fields = {**common, **file, **own}
        yield _sse(f"{request.kind}.completed", fields)
