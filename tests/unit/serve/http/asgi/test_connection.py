"""Requests byte for byte over a real socket, read by the server that Ray's proxies run."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from serve.http.asgi.connection import MAX_HEAD_BYTES, Connection, install
from tests.polling import wait_until

OFFER = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
)
HEAD_S = 1.0


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells the request's method, headers and body; does not read a body sent to /unread."""
    request = Request(scope, receive)
    body = b"" if scope["path"] == "/unread" else await request.body()
    headers = dict(request.headers)
    told = {"method": scope["method"], "headers": headers, "body": body.decode()}
    await JSONResponse(told)(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """A server as Ray's proxies start it; heads have to come within HEAD_S."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "head_s", HEAD_S)
        install()
        config = uvicorn.Config(
            echo, log_level="critical", lifespan="off", timeout_keep_alive=1, access_log=False
        )
        server = uvicorn.Server(config)
        bound = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([bound])), daemon=True)
        thread.start()
        wait_until(lambda: server.started, 20)
        yield bound.getsockname()
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def line(address: tuple[str, int]) -> Iterator[socket.socket]:
    """A connection to it."""
    with socket.create_connection(address, timeout=10) as line:
        yield line


def answer(line: socket.socket) -> tuple[int, bytes, dict[str, Any]]:
    """Status, head and JSON of the next answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += got(line)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    assert length is not None
    while len(body) < int(length[1]):
        body += got(line)
    return int(head.split()[1]), head.lower(), json.loads(body)


def got(line: socket.socket) -> bytes:
    """What comes next; the connection stays open."""
    data = line.recv(65536)
    assert data, "closed"
    return data


def post(headers: bytes, body: bytes, path: bytes = b"/") -> bytes:
    """A request as it is sent."""
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\nHost: a\r\n" + length + headers + b"\r\n" + body


@pytest.mark.parametrize("cut", [None, 40, -5, -1])
def test_an_offer_of_http_2_is_ignored_and_the_body_read(
    line: socket.socket, cut: int | None
) -> None:
    request = post(OFFER, b'{"prompt": "a car"}')
    for part in (request,) if cut is None else (request[:cut], request[cut:]):
        line.sendall(part)

    status, _, told = answer(line)

    assert (status, told["body"]) == (200, '{"prompt": "a car"}')
    assert told["method"] == "POST"
    assert not {"upgrade", "http2-settings", "connection"} & set(told["headers"])


def test_a_chunked_body_and_the_next_request_follow_an_offer(line: socket.socket) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + OFFER + b"\r\n"
    line.sendall(chunked + b"3\r\nabc\r\n0\r\n\r\n")
    first = answer(line)
    line.sendall(post(OFFER, b"second"))
    second = answer(line)

    assert (first[0], first[2]["body"]) == (200, "abc")
    assert (second[0], second[2]["body"]) == (200, "second")


def test_two_requests_in_one_packet_are_both_answered(line: socket.socket) -> None:
    line.sendall(post(OFFER, b"one") + post(b"", b"two"))
    line.settimeout(10)
    told = b""
    while told.count(b"200 OK") < 2 or b"two" not in told:
        told += got(line)
    assert told.index(b"one") < told.index(b"two")


@pytest.mark.parametrize(
    "head",
    [
        b"".join(b"X-%d: %s\r\n" % (index, b"a" * 1000) for index in range(200)),
        b"X-Long: " + b"a" * 2 * MAX_HEAD_BYTES + b"\r\n",
        b"".join(b"A%d: \r\n" % index for index in range(MAX_HEAD_BYTES // 6)),
    ],
)
def test_large_heads_are_refused(line: socket.socket, head: bytes) -> None:
    line.sendall(post(head, b"{}"))

    status, said, told = answer(line)

    assert status == 431
    assert b"connection: close" in said
    assert told["error"]["code"] == "headers_too_large"


def test_a_header_that_never_ends_is_refused(line: socket.socket) -> None:
    line.sendall(b"GET / HTTP/1.1\r\nX: ")
    line.sendall(b"a" * 2 * MAX_HEAD_BYTES)
    assert answer(line)[0] == 431


def test_a_long_address_is_refused(line: socket.socket) -> None:
    line.sendall(b"GET /" + b"a" * 2 * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer(line)[0] == 431


def test_a_head_within_bounds_is_taken_again_and_again(line: socket.socket) -> None:
    head = b"X: " + b"a" * (MAX_HEAD_BYTES - 200) + b"\r\n"
    for _ in range(3):
        line.sendall(post(head, b"a" * 4 * MAX_HEAD_BYTES))
        assert answer(line)[0] == 200


@pytest.mark.parametrize("begun", [b"GET / HTT", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_half_a_head_is_answered_and_closed(line: socket.socket, begun: bytes) -> None:
    line.sendall(begun)

    status, head, told = answer(line)

    assert (status, told["error"]["code"]) == (408, "timeout")
    assert b"connection: close" in head
    assert line.recv(1) == b""


def test_half_a_second_head_is_answered_too(line: socket.socket) -> None:
    line.sendall(post(b"", b"one"))
    assert answer(line)[0] == 200
    line.sendall(b"GET / HTTP/1.1\r\n")
    assert answer(line)[0] == 408


def test_a_connection_that_says_nothing_is_closed(line: socket.socket) -> None:
    assert line.recv(1) == b""


def test_the_rest_of_an_unread_body_does_not_hold_the_connection(line: socket.socket) -> None:
    line.sendall(post(b"", b"a" * 1000, b"/unread")[:-500])
    assert answer(line)[0] == 200
    line.sendall(b"a")
    assert line.recv(1) == b""


@pytest.mark.parametrize(
    "request_", [b"\x16\x03\x01\x02\x00\x01\x00", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"]
)
def test_what_is_no_request_is_refused_in_the_envelope(
    line: socket.socket, request_: bytes
) -> None:
    line.sendall(request_)

    status, _, told = answer(line)

    assert (status, told["error"]["code"]) == (400, "invalid_http")
