"""One client's connection as the proxy reads it: a request's head within bounds, HTTP/1.1 alone.

uvicorn's own protocol takes heads of any size and age, loses the body of a request that offers to
go on in HTTP/2 (h2c: Java's HttpClient as it comes, `curl --http2`), and answers what it cannot
read in plain text.
"""

import asyncio
import json

import httptools
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serve.http.wire import errors

MAX_HEAD_BYTES = 32 * 2**10
HEAD_S = 20.0  # from a request's first byte to the end of its head
OFFER = (b"upgrade", b"http2-settings")
UNREADABLE = (400, "This is no HTTP/1.1 request.", "invalid_http")
TOO_LARGE = (
    431,
    f"The request line and the headers have more than {MAX_HEAD_BYTES} bytes.",
    "headers_too_large",
)
TOO_SLOW = (408, f"The headers did not come within {HEAD_S:g} s.", "timeout")


def install() -> None:
    """Make uvicorn, where it is not told otherwise, read connections as here."""
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{Connection.__name__}"


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with bounds on heads; of the offers to upgrade it takes WebSocket alone.

    An instance belongs to the event loop that reads its connection.
    """

    head_s = HEAD_S
    _refusal = UNREADABLE
    _head_bytes = 0
    _untold_bytes = 0  # taken, and not told of by the parser yet: a line that does not end, say
    _too_slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, though not for ever."""
        super().connection_made(transport)
        self._close_when_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; an offer that is not taken is forgotten, and its request read."""
        self._unset_keepalive_if_required()
        self._untold_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("")
        except httptools.HttpParserUpgrade as upgrade:
            self._on_upgrade(data[upgrade.args[0] :])
        else:
            if self._untold_bytes > MAX_HEAD_BYTES:
                self._refusal = TOO_LARGE
                self.send_400_response("")
            elif self._too_slow is None and (self.cycle is None or self.cycle.response_complete):
                self._close_when_idle()

    def on_message_begin(self) -> None:
        """A request's first byte."""
        super().on_message_begin()
        self._head_bytes = 0
        if self._too_slow is None:
            self._too_slow = self.loop.call_later(self.head_s, self._on_too_slow)

    def on_url(self, url: bytes) -> None:
        """A part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer of a chunked body."""
        self._count(len(name) + len(value) + len(b": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The end of the head: the request is on its way."""
        self._untold_bytes = 0
        self._head_is_here()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._untold_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of the body."""
        self._untold_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse, in the API's envelope, what no application can answer; the end."""
        status, message, code = self._refusal
        body = json.dumps(errors.envelope_body(status, message, None, code)).encode()
        head = (
            STATUS_LINE[status],
            b"content-type: application/json\r\n",
            b"content-length: %d\r\n" % len(body),
            b"connection: close\r\n\r\n",
        )
        self.transport.write(b"".join((*head, body)))
        self.transport.close()

    def _should_upgrade(self) -> bool:
        return True  # uvicorn leaves the request alone then, and _on_upgrade decides

    def _on_upgrade(self, rest: bytes) -> None:
        if self.scope["method"] == "CONNECT":
            self.send_400_response("")
        elif self._get_upgrade() == b"websocket" and self._should_upgrade_to_ws():
            self.handle_websocket_upgrade()
        else:
            self._read_without_offer(rest)

    def _read_without_offer(self, rest: bytes) -> None:
        """The request as if HTTP/1.1 were all that its client knows; rest: what follows its head.

        A parser that has met an offer takes what follows for another protocol, so a new one reads.
        """
        lines = [
            b"%s %s HTTP/%s"
            % (self.scope["method"].encode(), self.url, self.scope["http_version"].encode())
        ]
        for name, value in self.headers:
            if name == b"connection":
                tokens = (token.strip() for token in value.split(b","))
                value = b", ".join(token for token in tokens if token.lower() not in OFFER)
            if name not in OFFER and value:
                lines.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self.data_received(b"\r\n".join((*lines, b"", rest)))

    def _count(self, size: int) -> None:
        """Raise, which the parser passes on, where the head is too large."""
        self._untold_bytes -= size
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refusal = TOO_LARGE
            raise ValueError(TOO_LARGE)

    def _head_is_here(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def _on_too_slow(self) -> None:
        self._too_slow = None
        if not self.transport.is_closing():
            self._refusal = TOO_SLOW
            self.send_400_response("")

    def _close_when_idle(self) -> None:
        """Whatever else comes, the rest of a body that nobody read say, does not keep it open."""
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
