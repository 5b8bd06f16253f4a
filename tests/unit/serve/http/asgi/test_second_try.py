"""A request is sent anew while what takes it dies before it answers."""

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from serve.http.asgi.second_try import IN_MEMORY_BYTES, TRIES, SecondTry


class Mortal:
    """Answers with what was sent, but first dies so often, having received `reads` messages or all
    of the body.
    """

    def __init__(self, deaths: int, reads: int, last: Response | None = None) -> None:
        self.deaths = deaths
        self.reads = reads
        self.last = last
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        if self.asked <= self.deaths:
            more, read = True, 0
            while read < self.reads and more:
                message = await receive()
                more, read = message.get("more_body", False), read + 1
            return
        body = await Request(scope, receive).body()
        await (self.last or Response(body, media_type="image/png"))(scope, receive, send)


def ask(application: Mortal, pieces: list[bytes]) -> tuple[int, bytes]:
    """Status and body of what is answered to a request sent in these pieces."""
    sent: list[Message] = []
    coming = [
        {"type": "http.request", "body": piece, "more_body": index + 1 < len(pieces)}
        for index, piece in enumerate(pieces)
    ]

    async def receive() -> Message:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(SecondTry(application)(scope, receive, send))
    start, *bodies = sent
    return start["status"], b"".join(body.get("body", b"") for body in bodies)


PIECES = [bytes([i % 251]) * 1000 for i in range(3 * IN_MEMORY_BYTES // 1000)]


@pytest.mark.parametrize("pieces", [[b""], [b"{}"], PIECES])
@pytest.mark.parametrize("deaths", range(TRIES))
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_another_one_gets_all_that_was_sent(pieces: list[bytes], deaths: int, share: float) -> None:
    application = Mortal(deaths, reads=int(share * len(pieces)))
    assert ask(application, pieces) == (200, b"".join(pieces))
    assert application.asked == deaths + 1


def test_the_last_death_is_told() -> None:
    application = Mortal(deaths=TRIES, reads=1)
    status, body = ask(application, [b"{}"])
    assert status == 503
    assert json.loads(body)["error"]["code"] == "unavailable"
    assert application.asked == TRIES


def test_the_applications_own_answers_are_not_asked_for_again() -> None:
    for last in (JSONResponse({}, 500), PlainTextResponse("busy", 503)):
        application = Mortal(deaths=0, reads=0, last=last)
        assert ask(application, [b"{}"]) == (last.status_code, last.body)
        assert application.asked == 1


def test_nobody_is_asked_for_a_client_that_has_left() -> None:
    application = Mortal(deaths=1, reads=1)
    with pytest.raises(ValueError, match="not enough values"):
        ask(application, [])  # nothing is sent
    assert application.asked == 1
