"""The manners of the proxies in front of the application: sane headers, one error envelope.

Ray's proxies answer some requests themselves (nothing deployed yet, too many queued, timed out),
in plain text and naming their parts. Here those answers get the API's envelope. Every response
carries X-Request-ID, the client's own where it is short and plain.
"""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.http.asgi import connection
from serve.http.asgi.held_bodies import REQUEST_ID, HeldBodies
from serve.http.asgi.second_try import SecondTry
from serve.http.wire import envelope

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
SERVE_OVERRIDES = (
    "x-request-timeout-seconds",
    "x-request-disconnect-disabled",
    "x-session-id",  # these two choose replicas, and one that is not ASCII breaks Serve's routing
    "serve-multiplexed-model-id",
)
"""Headers that Serve takes for its own, in these names or with underscores."""

REFUSALS = {
    404: "There is no such address here.",
    408: "The request took longer than the server allows.",
    429: "The server is busy; try again later.",
    500: "The server failed on this request; the fault is logged.",
    503: "The application is not available; try again later.",
}
CODES = {
    404: "not_found",
    408: "timeout",
    429: "queue_full",
    500: "internal_error",
    503: "unavailable",
}


def middlewares() -> list[Middleware]:
    """What RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names; called before the proxy listens."""
    connection.install()
    return [Middleware(ProxyManners), Middleware(HeldBodies), Middleware(SecondTry)]


class ProxyManners:
    """ASGI middleware of the HTTP proxy."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        tidy(scope)
        refused: Message | None = None

        async def in_envelope(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and is_proxys_own(message):
                refused = message
            elif refused is None:
                await send(message)
            elif not message.get("more_body", False):
                await _answer(refused, scope, receive, send)

        await self.app(scope, receive, in_envelope)


def tidy(scope: Scope) -> None:
    """Drop the headers that override what Serve does, and request ids but a single sane one."""
    headers = MutableHeaders(scope=scope)
    for name in set(headers.keys()):
        if name.lower().replace("_", "-") in SERVE_OVERRIDES:
            del headers[name]
    ids = headers.getlist(REQUEST_ID)  # of several, Serve answers with one and logs another
    if len(ids) > 1 or not all(SANE_REQUEST_ID.fullmatch(one) for one in ids):
        del headers[REQUEST_ID]


def is_proxys_own(start: Message) -> bool:
    """Whether the proxy answered, not the application, which never refuses in plain text."""
    kind = Headers(raw=start["headers"]).get("content-type", "text/plain")
    return start["status"] in REFUSALS and kind.startswith("text/plain")


async def _answer(refused: Message, scope: Scope, receive: Receive, send: Send) -> None:
    status = refused["status"]
    original = Headers(raw=refused["headers"])
    kept = {name: original[name] for name in (REQUEST_ID, "retry-after") if name in original}
    if status == 503:
        kept.setdefault("retry-after", "5")
    elif status == 408:
        kept["x-should-retry"] = "false"  # it would take as long again
    await envelope(status, REFUSALS[status], code=CODES[status], headers=kept)(scope, receive, send)
