"""Bodies that do not come, or are too large, in front of an API that reads them."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI, Request

from serve.http.asgi import BoundedBody, LastResort
from serve.http.wire import errors
from tests.polling import wait_until

MAX_BYTES = 100_000
SILENCE_S, BODY_S = 0.5, 1.5


def application() -> LastResort:
    """Two ways to read a body: FastAPI's own, and by hand as forms are read."""
    api = FastAPI()
    errors.install(api)

    @api.post("/json")
    async def parsed(body: dict[str, str]) -> dict[str, str]:
        return body

    @api.post("/form")
    async def form(request: Request) -> int:
        async with request.form() as form:
            return len(form)

    return LastResort(BoundedBody(api, MAX_BYTES, SILENCE_S, BODY_S))


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    config = uvicorn.Config(application(), log_level="critical", lifespan="off")
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
    with socket.create_connection(address, timeout=10) as line:
        yield line


JSON = b"Content-Type: application/json\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=XX\r\n"
PART = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n'


def head(path: bytes, kind: bytes, length: int) -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n" % (path, kind, length)


def rest(line: socket.socket) -> bytes:
    """All that is answered until the connection is closed."""
    return b"".join(iter(lambda: line.recv(65536), b""))


@pytest.mark.parametrize(
    ("path", "kind", "begun"), [(b"/json", JSON, b'{"a'), (b"/form", FORM, PART)]
)
def test_half_a_body_is_answered_and_its_connection_closed(
    line: socket.socket, path: bytes, kind: bytes, begun: bytes
) -> None:
    began = time.monotonic()
    line.sendall(head(path, kind, 1000) + begun)
    answer = rest(line)

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in answer.lower()
    assert b'"code":"request_timeout"' in answer
    assert time.monotonic() - began >= SILENCE_S


def test_a_body_that_drips_is_given_up_too(line: socket.socket) -> None:
    line.sendall(head(b"/json", JSON, 1000) + b"{")
    line.settimeout(SILENCE_S / 5)
    deadline = time.monotonic() + 10
    answer = b""
    while not answer and time.monotonic() < deadline:
        line.sendall(b" ")
        try:
            answer = line.recv(65536)
        except TimeoutError:
            continue

    assert answer.startswith(b"HTTP/1.1 408")


def test_a_body_in_time_is_read(line: socket.socket) -> None:
    line.sendall(head(b"/json", b"Connection: close\r\n" + JSON, 10) + b'{"a":')
    line.sendall(b'"bc"}')
    assert rest(line).endswith(b'{"a":"bc"}')


def test_too_many_bytes_are_refused(line: socket.socket) -> None:
    body = b'{"a": "' + b"b" * MAX_BYTES
    line.sendall(head(b"/json", b"Connection: close\r\n" + JSON, len(body)) + body)
    assert rest(line).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(("path", "kind"), [(b"/json", JSON), (b"/form", FORM)])
def test_what_tells_that_it_is_too_large_is_not_waited_for(
    line: socket.socket, path: bytes, kind: bytes
) -> None:
    line.sendall(head(path, kind, MAX_BYTES + 1))
    assert rest(line).startswith(b"HTTP/1.1 413")
