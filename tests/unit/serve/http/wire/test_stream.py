"""Events of a streamed request: what comes, what is asked for, and what goes wrong on the way."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from deployments.diffusion.profile import StepCounts
from deployments.diffusion.request import Event, GenerationParams, Progress
from deployments.errors import DeadlineMissed, InvalidValue
from deployments.handover import Tokens
from deployments.postprocess.schema import Delivery, Finished, FinishSpec, Output
from serve.http.wire.answers import images_answer
from serve.http.wire.stream import Streamed, complete, stream_events

PARAMS = GenerationParams("a cat", 64, 64, 4, 1)
SPEC = FinishSpec(("img_1",), None, (None,), Output("png"))
STEP = Progress(1, 4, 0, 0.5)
FILE = Finished(b"picture", "image/png", 64, 64)
DELIVERY = Delivery(
    ids=("img_1",),
    pictures=(FILE,),
    drawn=(0,),
    seeds=(1,),
    drawn_size=(64, 64),
    steps=8,
    steps_executed=4,
    timings_ms={},
    warnings=(),
    kept=True,
    tokens=Tokens(text=7, given=16, drawn=32),
)
STEPS = StepCounts(default=8, max=50, quality={"low": 4, "medium": 8, "high": 16})
LATE = DeadlineMissed("The request took longer than 1 s.", None, "timeout")


def request(*, progress: bool = False, by_url: bool = False) -> Streamed:
    def answer(delivery: Delivery) -> dict[str, Any]:
        url_of = (lambda one: f"http://x/{one}") if by_url else None
        return images_answer(delivery, model="m", steps=STEPS, output_format="png", url_of=url_of)

    return Streamed("image_edit", PARAMS, SPEC, "medium", progress, answer)


async def told_of(*events: Event | Delivery | Exception) -> AsyncGenerator[Event | Delivery, None]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


def body(told: AsyncGenerator[Event | Delivery, None], asked: Streamed, quiet_s: float) -> str:
    async def read() -> str:
        response = await stream_events(None, asked, told, quiet_s)
        assert response.headers["x-accel-buffering"] == "no"
        return "".join([str(piece, "utf-8") async for piece in response.body_iterator])

    return asyncio.run(read())


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def test_progress_is_told_to_those_who_ask_for_it() -> None:
    kinds = ["signboard.progress", "image_edit.completed"]
    asked, unasked = (
        [one["type"] for one in events(body(told_of(STEP, DELIVERY), request(progress=p), 60))]
        for p in (True, False)
    )
    assert asked == kinds
    assert unasked == kinds[1:]


def test_a_completed_event_tells_usage_and_has_its_picture_by_url_too() -> None:
    (event,) = events(body(told_of(STEP, DELIVERY), request(by_url=True), 60))

    assert event["url"] == "http://x/img_1"
    assert event["b64_json"] == "cGljdHVyZQ=="
    assert event["quality"] == "medium"
    assert event["usage"] == {
        "total_tokens": 55,
        "input_tokens": 23,
        "output_tokens": 32,
        "input_tokens_details": {"text_tokens": 7, "image_tokens": 16},
    }


def test_what_was_kept_is_told_the_same_way() -> None:
    async def read() -> str:
        response = complete(request(), DELIVERY)
        return "".join([str(piece, "utf-8") async for piece in response.body_iterator])

    assert events(asyncio.run(read())) == events(body(told_of(DELIVERY), request(), 60))


def test_a_refusal_on_the_way_is_an_event() -> None:
    *_, error = events(body(told_of(STEP, LATE), request(progress=True), 60))

    assert error["type"] == "error"
    assert error["error"]["code"] == "timeout"


def test_a_fault_on_the_way_is_an_event_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "ray.serve"):
        (error,) = events(body(told_of(STEP, KeyError("secret")), request(), 60))

    assert error["error"]["code"] == "internal_error"
    assert "secret" not in json.dumps(error)
    assert "secret" in caplog.text


def test_a_refusal_at_once_is_raised() -> None:
    with pytest.raises(InvalidValue):
        body(told_of(InvalidValue("n: too many", "n", "n")), request(), 60)


def test_silence_is_broken_by_comments() -> None:
    read: list[str] = []

    async def slow(enough: asyncio.Event) -> AsyncIterator[Event | Delivery]:
        yield STEP
        await enough.wait()
        yield DELIVERY

    async def listen() -> None:
        enough = asyncio.Event()
        response = await stream_events(None, request(), slow(enough), 0.01)
        async for piece in response.body_iterator:
            read.append(str(piece, "utf-8"))
            if len(read) == 3:
                enough.set()

    asyncio.run(listen())
    assert all(piece.startswith(":") and piece.endswith("\n\n") for piece in read[:3])
    (event,) = events("".join(read))
    assert event["type"] == "image_edit.completed"


def test_a_listener_that_leaves_ends_what_is_told() -> None:
    """While it waits for an event, and between two of them."""
    ended = []

    async def endless(silent: asyncio.Event) -> AsyncIterator[Event]:
        try:
            yield STEP
            yield STEP
            silent.set()
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def leave() -> None:
        silent = asyncio.Event()
        response = await stream_events(None, request(progress=True), endless(silent), 60)
        await anext(response.body_iterator)
        await response.body_iterator.aclose()
        assert len(ended) == 1
        response = await stream_events(None, request(), endless(silent), 60)
        waiting = asyncio.ensure_future(anext(response.body_iterator))
        await silent.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(ended) == 2

    asyncio.run(leave())
