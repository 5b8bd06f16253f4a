"""Bodies on their way, bounded in bytes all together: more of them wait, or are sent away.

Ray's proxy takes in whatever is sent, as fast as it comes, and the application holds a body until
it is answered. So a body's place is taken here, before any of it is read.
"""

import asyncio
import uuid

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.errors import Overloaded
from serve.http.wire import errors

MIB = 2**20
HELD_BYTES = 512 * MIB
SMALL_BYTES = 64 * 2**10  # a prompt and its words: never waits, whatever is uploaded
UNTOLD_BYTES = 64 * MIB  # taken for a body that does not tell its length
WAIT_S = 10.0
RETRY_S = 5.0
REQUEST_ID = "x-request-id"


class ByteBudget:
    """So many bytes to take and to give back, in the order of those who ask. For one event loop."""

    def __init__(self, total: int) -> None:
        self.free = total
        self._turn = asyncio.Lock()  # fair: a large body is not passed by for ever
        self._given = asyncio.Event()

    async def take(self, count: int) -> None:
        """Wait until `count` bytes are free, and take them. Cancelled, it has taken none."""
        async with self._turn:
            while self.free < count:
                self._given.clear()
                await self._given.wait()
            self.free -= count

    def give(self, count: int) -> None:
        """Give back what was taken."""
        self.free += count
        self._given.set()


class HeldBodies:
    """ASGI middleware of the HTTP proxy: bodies of `total` bytes at a time, from the first byte to
    the end of the answer; what finds no place for `wait_s` seconds is answered with 429."""

    def __init__(self, app: ASGIApp, total: int = HELD_BYTES, wait_s: float = WAIT_S) -> None:
        self.app = app
        self.total = total
        self.wait_s = wait_s
        self.budget = ByteBudget(total)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = min(told_bytes(scope), self.total)
        if size <= SMALL_BYTES:
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.wait_s):
                await self.budget.take(size)
        except TimeoutError:
            await _refuse(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            self.budget.give(size)


def told_bytes(scope: Scope) -> int:
    """What the headers say of the body's length; UNTOLD_BYTES where they do not."""
    if scope["type"] != "http":
        return 0
    headers = Headers(scope=scope)
    if "transfer-encoding" in headers:
        return UNTOLD_BYTES
    length = headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() else UNTOLD_BYTES


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    busy = Overloaded(
        "The server is reading as many bytes as it can hold; try again later.",
        None,
        "bodies_full",
        RETRY_S,
    )
    response = errors.refusal(busy)
    # No application has given it an id yet.
    response.headers[REQUEST_ID] = Headers(scope=scope).get(REQUEST_ID) or str(uuid.uuid4())
    await response(scope, receive, send)
