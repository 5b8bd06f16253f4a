"""What a request may bring: a body within bounds, and headers that are sane."""

import re

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "x-request-id"
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
SERVE_OVERRIDES = ("x-request-timeout-seconds", "x-request-disconnect-disabled")


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


def tidy(scope: Scope) -> None:
    """Drop the headers that would override Serve's limits, and a request id that is not sane."""
    headers = MutableHeaders(scope=scope)
    for name in SERVE_OVERRIDES:
        del headers[name]
    if not SANE_REQUEST_ID.fullmatch(headers.get(REQUEST_ID, "-")):
        del headers[REQUEST_ID]
