"""Server-sent events of a streamed request: OpenAI's partial and completed pictures, our progress.

The connection is answered once the request is accepted, so that refusals keep their status. From
then on whatever goes wrong is an event, and silence is broken by comments.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from fastapi.responses import StreamingResponse

from deployments.diffusion.request import Event, GenerationParams, Preview, Progress
from deployments.errors import RequestError
from deployments.postprocess.schema import Delivery, FinishSpec
from serve.http.rooms import Rooms
from serve.http.wire.errors import FAULT, STATUS, envelope_body
from serve.http.wire.pieces import Pieces, in_turns

log = logging.getLogger("ray.serve")

Kind = Literal["image_generation", "image_edit"]
MEDIA_TYPE = "text/event-stream"
QUIET_S = 12.0  # proxies commonly close a connection that says nothing for 30 to 60 s
COMMENT = b": still drawing\n\n"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold the events back until they fill a buffer
}


@dataclass(frozen=True, slots=True)
class Streamed:
    """One streamed request.

    quality: as used. progress: whether that is told too. answer: the JSON answer's fields of what
    was delivered.
    """

    kind: Kind
    params: GenerationParams
    spec: FinishSpec
    quality: str
    progress: bool
    answer: Callable[[Delivery], dict[str, Any]]


async def stream_events(
    rooms: Rooms,
    request: Streamed,
    told: AsyncGenerator[Event | Delivery, None],
    quiet_s: float = QUIET_S,
) -> StreamingResponse:
    """The response whose body tells of one request. Raises what refuses the request.

    quiet_s: seconds of silence after which a comment is sent.
    """
    first = await anext(told)
    return _response(_lively(_to_the_end(_events(rooms, request, first, told)), quiet_s))


def complete(request: Streamed, delivery: Delivery) -> StreamingResponse:
    """The response to a request whose pictures need no drawing."""
    return _response(_completed(request, delivery))


def _response(body: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(body, media_type=MEDIA_TYPE, headers=HEADERS)


async def _lively(events: AsyncGenerator[bytes, None], quiet_s: float) -> AsyncIterator[bytes]:
    """The events, and a comment whenever there was none for `quiet_s`."""
    async with aclosing(events):
        while True:
            coming = asyncio.ensure_future(anext(events, b""))
            try:
                while not (await asyncio.wait({coming}, timeout=quiet_s))[0]:
                    yield COMMENT
            finally:
                if not coming.done():  # the listener has left
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)
            if not (event := coming.result()):
                return
            yield event


async def _to_the_end(events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The events; what goes wrong on the way is the last of them."""
    async with aclosing(events):
        try:
            async for event in events:
                yield event
        except RequestError as error:
            told = envelope_body(STATUS[type(error)], error.message, error.param, error.code)
        except Exception:
            log.exception("a streamed request failed")
            told = FAULT
        else:
            return
    async for piece in _sse("error", told):
        yield piece


async def _events(
    rooms: Rooms,
    request: Streamed,
    first: Event | Delivery,
    rest: AsyncGenerator[Event | Delivery, None],
) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        async for event in _chain(first, rest):
            if isinstance(event, Delivery):
                told = _completed(request, event)
            elif isinstance(event, Preview):
                partial = await _partial(rooms, request, event)
                told = _sse(f"{request.kind}.partial_image", partial)
            elif request.progress:
                told = _sse("signboard.progress", _progress(event))
            else:
                continue
            async for piece in told:
                yield piece


async def _chain(
    first: Event | Delivery, rest: AsyncIterator[Event | Delivery]
) -> AsyncIterator[Event | Delivery]:
    yield first
    async for event in rest:
        yield event


async def _sse(name: str, fields: Mapping[str, Any]) -> AsyncIterator[bytes]:
    yield f"event: {name}\ndata: ".encode()
    async for piece in in_turns(Pieces({"type": name, **fields}, ascii_only=True)):
        yield piece
    yield b"\n\n"


def _progress(event: Progress) -> dict[str, Any]:
    return {
        "step": event.step,
        "steps": event.steps,
        "queue_position": event.position,
        "eta_s": round(event.eta_s, 3),
    }


async def _partial(rooms: Rooms, request: Streamed, event: Preview) -> dict[str, Any]:
    size = (request.params.width, request.params.height)
    return {
        "b64_json": await rooms.preview(event.pixels, size, request.spec.output),
        "partial_image_index": event.index,
        "picture_index": event.picture,
        "step": event.step,
        "created_at": int(time.time()),
        "size": f"{size[0]}x{size[1]}",
        "quality": request.quality,
        "background": "opaque",
        "output_format": request.spec.output.format,
    }


async def _completed(request: Streamed, delivery: Delivery) -> AsyncIterator[bytes]:
    """The JSON answer's fields, once a file; its own size and warnings, and always its bytes."""
    whole = request.answer(delivery)
    common = {name: value for name, value in whole.items() if name not in ("data", "created")}
    for file, picture in zip(whole["data"], delivery.pictures, strict=True):
        own = {
            "b64_json": picture.data,
            "size": f"{file['width']}x{file['height']}",
            "created_at": whole["created"],
            "warnings": list(dict.fromkeys((*delivery.warnings, *file["warnings"]))),
        }
        async for piece in _sse(f"{request.kind}.completed", {**common, **file, **own}):
            yield piece
