"""The layers around the API in its own process: bodies within bounds, an answer to every fault."""

import asyncio
import logging
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.http.wire import FACTS, envelope, errors

log = logging.getLogger("ray.serve")

SILENCE_S = 20.0
BODY_S = 300.0
CORS_METHODS = ("GET", "HEAD", "POST", "DELETE")
CORS_EXPOSED = (
    "Content-Range",
    "ETag",
    "Location",
    "Retry-After",
    "Server-Timing",
    "X-Request-ID",
    *(f"X-Signboard-{name}" for name in FACTS),
)


class BoundedBody:
    """ASGI middleware: bodies come within bounds, or reading them raises an HTTPException.

    413 for more than `max_bytes` (FastAPI's own bound answers in plain text, outside the envelope),
    before any of it is read where its length is told; 408 where nothing comes for `silence_s`
    seconds, or not all within `body_s`. The connection ends then, since what comes later would be
    taken for another request.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        silence_s: float = SILENCE_S,
        body_s: float = BODY_S,
    ) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.silence_s = silence_s
        self.body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0
        whole = False
        loop = asyncio.get_running_loop()
        end = loop.time() + self.body_s

        told = Headers(scope=scope).get("content-length", "") if scope["type"] == "http" else ""
        too_large = HTTPException(
            413,
            f"The body has more than the {self.max_bytes} bytes that are taken.",
            {"Connection": "close"},
        )

        async def bounded() -> Message:
            nonlocal read, whole
            if whole:
                return await receive()
            if told.isdecimal() and int(told) > self.max_bytes:
                raise too_large
            try:
                async with asyncio.timeout_at(min(end, loop.time() + self.silence_s)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408,
                    f"The body did not come: nothing for {self.silence_s:g} s, or not all of it "
                    f"within {self.body_s:g} s.",
                    {"Connection": "close"},
                ) from None
            if message["type"] == "http.request":
                whole = not message.get("more_body", False)
                read += len(message.get("body", b""))
                if read > self.max_bytes:
                    raise too_large
            return message

        await self.app(scope, bounded, send)


class Heads:
    """ASGI middleware: HEAD is answered as GET is, without the body; it has no ranges."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        scope = {**scope, "method": "GET", "headers": list(scope["headers"])}
        del MutableHeaders(scope=scope)["range"]
        ended = False

        async def bodiless(message: Message) -> None:
            nonlocal ended
            if message["type"] != "http.response.body":
                await send(message)
            elif not ended:
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app(scope, receive, bodiless)


class Cors(CORSMiddleware):
    """ASGI middleware: pages of these origins may ask; "*" is any page, without its credentials."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=CORS_METHODS,
            allow_headers=("*",),
            allow_credentials="*" not in origins,
            expose_headers=CORS_EXPOSED,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """204, or the reason why not, in the envelope."""
        answer = super().preflight_response(request_headers)
        headers = {
            name: value for name, value in answer.headers.items() if not name.startswith("content-")
        }
        if answer.status_code < 400:
            return Response(status_code=204, headers=headers)
        told = bytes(answer.body).decode()
        return envelope(
            400, f"{told}; see cors_origins.", param="origin", code="cors", headers=headers
        )


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
