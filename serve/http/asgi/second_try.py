"""A request whose ingress replica died before it answered is sent to another one."""

import os
import tempfile
from typing import Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.http.wire import NOT_READY_RETRY_S, envelope

IN_MEMORY_BYTES = 2**18
TRIES = 3  # the proxy may not know at once which replicas are gone
GIVEN_UP = envelope(
    503,
    "The processes that worked on this died; try again later.",
    code="unavailable",
    headers={"Retry-After": str(NOT_READY_RETRY_S)},
)


class SecondTry:
    """ASGI middleware of the HTTP proxy, which sends nothing at all when a replica dies.

    The client has nothing of an answer by then, and what it sent is still here: in memory, beyond
    256 KiB in a temporary file. Once an answer has begun it cannot be begun anew.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answered = False

        async def noting(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        with Tape(receive) as tape:
            for _ in range(TRIES):
                await self.app(dict(scope), tape.play(), noting)
                if answered or tape.client_is_gone:
                    return
        await GIVEN_UP(scope, receive, send)


class Tape:
    """What a client sends, kept as it comes, to be received anew by one player after another."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._body = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
        self._ended = False
        self.client_is_gone = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._body.close()

    def play(self) -> Receive:
        """Receives what has come already, then what comes."""
        recorded, ended = self._body.seek(0, os.SEEK_END), self._ended
        position, replaying = 0, recorded > 0 or ended

        async def receive() -> Message:
            nonlocal position, replaying
            if replaying:
                self._body.seek(position)
                piece = self._body.read(min(IN_MEMORY_BYTES, recorded - position))
                position += len(piece)
                replaying = position < recorded
                return {"type": "http.request", "body": piece, "more_body": replaying or not ended}
            message = await self._receive()
            if message["type"] == "http.request":
                self._body.seek(0, os.SEEK_END)
                self._body.write(message.get("body", b""))
                self._ended = not message.get("more_body", False)
            else:
                self.client_is_gone = True
            return message

        return receive
