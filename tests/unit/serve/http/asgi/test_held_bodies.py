"""Bodies that come at once: how many bytes of them are held, and what becomes of the rest."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from serve.http.asgi.held_bodies import SMALL_BYTES, UNTOLD_BYTES, HeldBodies, told_bytes

BODY = SMALL_BYTES + 1
ROOM_FOR = 3


def asking(**headers: object) -> Scope:
    raw = [
        (name.replace("_", "-").encode(), str(value).encode()) for name, value in headers.items()
    ]
    return {"type": "http", "method": "POST", "path": "/", "headers": raw}


class Application:
    """Holds every body until the test lets go."""

    def __init__(self) -> None:
        self.held = 0
        self.most = 0
        self.answered = 0
        self.let_go = asyncio.Event()
        self.fails = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = told_bytes(scope)
        self.held += size
        self.most = max(self.most, self.held)
        try:
            await self.let_go.wait()
            if self.fails:
                raise KeyError("fault")
            self.answered += 1
        finally:
            self.held -= size


class Front:
    """The middleware before it, with room for so many bodies."""

    def __init__(self, wait_s: float) -> None:
        self.application = Application()
        self.bodies = HeldBodies(self.application, ROOM_FOR * BODY, wait_s)
        self.sent: list[Message] = []

    def ask(self, size: int = BODY, **headers: object) -> asyncio.Task[None]:
        async def send(message: Message) -> None:
            self.sent.append(message)

        scope = asking(content_length=size, **headers)
        return asyncio.ensure_future(self.bodies(scope, None, send))

    async def settled(self) -> None:
        for _ in range(20):  # turns of the event loop, more than any of this takes
            await asyncio.sleep(0)


@given(st.lists(st.sampled_from([1, BODY, 2 * BODY, 9 * BODY]), max_size=12))
def test_never_more_than_the_budget_is_held_and_all_are_answered(sizes: list[int]) -> None:
    async def crowd() -> None:
        front = Front(wait_s=60)
        asked = [front.ask(size) for size in sizes]
        await front.settled()
        small = sum(size for size in sizes if size <= SMALL_BYTES)
        largest = max(sizes, default=0)
        assert front.application.most <= max(ROOM_FOR * BODY, largest) + small
        front.application.let_go.set()
        await asyncio.gather(*asked)
        assert front.application.answered == len(sizes)
        assert front.bodies.budget.free == ROOM_FOR * BODY

    asyncio.run(crowd())


def test_who_finds_no_place_is_told_when_to_come_back() -> None:
    async def crowd() -> None:
        front = Front(wait_s=0.01)
        held = [front.ask() for _ in range(ROOM_FOR)]
        await front.ask(x_request_id="campaign-42")
        start, body = front.sent
        headers = dict(start["headers"])
        assert start["status"] == 429
        assert headers[b"retry-after"] == b"5"
        assert headers[b"x-request-id"] == b"campaign-42"
        assert json.loads(body["body"])["error"]["code"] == "bodies_full"
        prompt = front.ask(200)  # which is not held up
        front.application.let_go.set()
        await asyncio.gather(prompt, *held)

    asyncio.run(crowd())


@pytest.mark.parametrize("ends", ["fault", "leaves"])
def test_every_way_out_gives_the_bytes_back(ends: str) -> None:
    async def crowd() -> None:
        front = Front(wait_s=60)
        asked = [front.ask() for _ in range(ROOM_FOR + 2)]
        await front.settled()
        if ends == "fault":
            front.application.fails = True
            front.application.let_go.set()
        else:
            for one in asked:
                one.cancel()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        kind: Any = KeyError if ends == "fault" else asyncio.CancelledError
        assert all(isinstance(outcome, kind) for outcome in outcomes)
        assert front.bodies.budget.free == ROOM_FOR * BODY

    asyncio.run(crowd())


def test_what_headers_tell_of_a_body() -> None:
    assert told_bytes(asking()) == 0
    assert told_bytes(asking(content_length=17)) == 17
    assert told_bytes(asking(content_length="²")) == UNTOLD_BYTES
    assert told_bytes(asking(transfer_encoding="chunked")) == UNTOLD_BYTES
    assert told_bytes({"type": "lifespan"}) == 0
