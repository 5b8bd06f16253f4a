"""The layers around the API in its own process: bodies within bounds, an answer to every fault."""

import logging

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.http.wire import errors

log = logging.getLogger("ray.serve")


class BoundedBody:
    """ASGI middleware: reading a body of more than `max_bytes` raises HTTPException 413.

    FastAPI's own bound answers in plain text, outside the error envelope.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > self.max_bytes:
                    raise HTTPException(
                        413, f"The body has more than the {self.max_bytes} bytes that are taken."
                    )
            return message

        await self.app(scope, bounded, send)


class LastResort:
    """ASGI middleware: logs what nobody foresaw, and answers it with a bare 500."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception:
            if scope["type"] != "http":
                raise
            log.exception("a request failed")
            if not started:
                await errors.internal_error()(scope, receive, send)
