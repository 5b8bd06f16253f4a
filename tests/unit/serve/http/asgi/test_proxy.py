"""What the proxy's middleware does to headers and to the proxy's own refusals."""

import asyncio
import json
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Message

from serve.http.asgi.held_bodies import HeldBodies
from serve.http.asgi.proxy import ProxyManners, middlewares
from serve.http.asgi.second_try import SecondTry


def ask(
    answer: Response, headers: dict[str, str] | list[tuple[str, str]]
) -> tuple[list[Message], dict[bytes, bytes]]:
    """What is sent for a request, and the request headers that the application saw."""
    sent: list[Message] = []
    seen: dict[bytes, bytes] = {}
    pairs = headers.items() if isinstance(headers, dict) else headers
    raw = [(name.encode(), value.encode()) for name, value in pairs]
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": raw}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope["headers"])
        await answer(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(ProxyManners(application)(scope, receive, send))
    return sent, seen


def test_headers_that_lift_limits_are_dropped() -> None:
    _, seen = ask(
        JSONResponse({}),
        {"x-request-timeout-seconds": "0", "x-request-disconnect-disabled": "?1", "a": "b"},
    )

    assert seen == {b"a": b"b"}


@pytest.mark.parametrize(
    "name",
    ["x-session-id", "x_session_id", "serve_multiplexed_model_id", "x_request_timeout_seconds"],
)
def test_headers_that_choose_a_replica_or_break_the_choice_are_dropped(name: str) -> None:
    _, seen = ask(JSONResponse({}), {name: "é", "a": "b"})

    assert seen == {b"a": b"b"}


@pytest.mark.parametrize("second", ["campaign-43", "x" * 500, "a b"])
def test_of_two_request_ids_none_is_kept(second: str) -> None:
    _, seen = ask(JSONResponse({}), [("x-request-id", "campaign-42"), ("x-request-id", second)])

    assert b"x-request-id" not in seen


@pytest.mark.parametrize(("given", "kept"), [("campaign-42", True), ("a b", False), ("", False)])
def test_only_sane_request_ids_are_kept(given: str, kept: bool) -> None:
    _, seen = ask(JSONResponse({}), {"x-request-id": given})

    assert (b"x-request-id" in seen) is kept


@pytest.mark.parametrize("status", [408, 429, 503])
def test_the_proxys_plain_refusals_get_the_envelope(status: int) -> None:
    refused = PlainTextResponse(
        "Deployment DiffusionDeployment of app signboard ...",
        status,
        {"X-Request-ID": "7", "Retry-After": "2"},
    )

    (start, body), _ = ask(refused, {})

    headers = dict(start["headers"])
    assert start["status"] == status
    assert (headers[b"x-request-id"], headers[b"retry-after"]) == (b"7", b"2")
    assert headers.get(b"x-should-retry") == (b"false" if status == 408 else None)
    assert set(json.loads(body["body"])["error"]) == {"message", "type", "param", "code"}
    assert b"Deployment" not in body["body"]


def test_the_proxy_holds_bodies_within_bounds_and_tries_again() -> None:
    assert [one.cls for one in middlewares()] == [ProxyManners, HeldBodies, SecondTry]


def test_the_applications_own_refusals_pass_as_they_are() -> None:
    (_, body), _ = ask(JSONResponse({"state": "loading"}, 503), {})

    assert json.loads(body["body"]) == {"state": "loading"}
