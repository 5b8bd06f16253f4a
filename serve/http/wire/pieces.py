"""JSON that holds whole files, encoded and sent a piece at a time.

At once, a hundred megabytes of base64 would hold the event loop, and with it everyone's answers,
for more than a second; a thread would hold the interpreter as long. Between two pieces others have
their turn.
"""

import asyncio
import json
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from fastapi import Response
from starlette.types import Receive, Scope, Send

PIECE_BYTES = 3 * 2**18  # of a file; a multiple of three, so that the base64 of pieces joins


class Pieces:
    """`fields` as JSON text, in which bytes stand as base64. size: bytes of the whole text.

    ascii_only: other characters are escaped, so that nothing can be taken for the end of a line.
    """

    def __init__(self, fields: Mapping[str, Any], *, ascii_only: bool = False) -> None:
        hole = secrets.token_hex(16)
        self._files: list[bytes] = []

        def leave_out(file: object) -> str:
            if not isinstance(file, bytes):
                raise TypeError(f"{type(file).__name__} has no place in JSON")
            self._files.append(file)
            return hole

        text = json.dumps(
            fields,
            default=leave_out,
            ensure_ascii=ascii_only,
            allow_nan=False,
            separators=(",", ":"),
        )
        self._texts = [part.encode() for part in text.split(hole)]
        encoded = sum(-(-len(file) // 3) * 4 for file in self._files)
        self.size = sum(map(len, self._texts)) + encoded

    def __iter__(self) -> Iterator[bytes]:
        """The text in order; what is short comes in one."""
        held: list[bytes] = []
        for part in self._parts():
            held.append(part)
            if sum(map(len, held)) >= PIECE_BYTES:
                yield b"".join(held)
                held.clear()
        if held:
            yield b"".join(held)

    def _parts(self) -> Iterator[bytes]:
        for text, file in zip_longest(self._texts, self._files, fillvalue=b""):
            yield text
            for start in range(0, len(file), PIECE_BYTES):
                yield b64encode(memoryview(file)[start : start + PIECE_BYTES])


class PiecewiseJSON(Response):
    """A JSON answer sent in pieces, others served between them; its length is told all the same."""

    media_type = "application/json"

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._pieces = Pieces(fields)
        super().__init__(headers={"content-length": str(self._pieces.size)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        left = self._pieces.size
        async for piece in in_turns(self._pieces):
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


async def in_turns(pieces: Pieces) -> AsyncIterator[bytes]:
    """The pieces; before each but the first, whatever else waits for the event loop is done."""
    for number, piece in enumerate(pieces):
        if number:
            await asyncio.sleep(0)
        yield piece
