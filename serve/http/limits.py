"""A bound on every request's body, kept while it is read."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


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
