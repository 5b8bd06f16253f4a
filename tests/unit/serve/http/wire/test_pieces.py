"""Large answers: the same JSON as at once, while others have the event loop."""

import asyncio
import base64
import json
import random
import time
from itertools import pairwise
from typing import Any

import pytest
from starlette.types import Message

from serve.http.wire.pieces import PIECE_BYTES, Pieces, PiecewiseJSON

LARGE = 64 * 2**20
LONGEST_SHARE = 0.2  # of the whole time, in the best of some rounds: measured, 0.03
ROUNDS = 5


def whole(value: Any) -> Any:
    """The same with bytes as base64, as JSON reads it back."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: whole(one) for name, one in value.items()}
    return [whole(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("size", [0, 1, 2, 3, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES + 1])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_pieces_are_the_json_of_the_whole(size: int, ascii_only: bool) -> None:
    file = random.Random(size).randbytes(size)
    fields = {
        "data": [
            {"b64_json": file, "url": None},
            {"b64_json": file[:7], "warnings": ["아침 \u2028"]},
        ],
        "size": "1x1",
    }
    pieces = Pieces(fields, ascii_only=ascii_only)
    text = b"".join(pieces)

    assert json.loads(text) == whole(fields)
    assert len(text) == pieces.size
    assert text.isascii() is ascii_only
    assert len(list(pieces)) <= 2 + size // PIECE_BYTES


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        Pieces({"a": {1}})


def sent(response: PiecewiseJSON) -> tuple[list[Message], float, float]:
    """The messages; the longest time that nobody else had a turn, and the whole, in seconds."""
    messages: list[Message] = []
    turns: list[float] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def others() -> None:
        while True:
            turns.append(time.perf_counter())
            await asyncio.sleep(0)

    async def answer() -> None:
        beside = asyncio.ensure_future(others())
        await asyncio.sleep(0)
        await response({"type": "http"}, None, send)
        turns.append(time.perf_counter())
        beside.cancel()

    asyncio.run(answer())
    longest = max(after - before for before, after in pairwise(turns))
    return messages, longest, turns[-1] - turns[0]


def test_a_large_answer_leaves_the_event_loop_to_others() -> None:
    file = bytes(LARGE)
    messages, _, _ = sent(PiecewiseJSON({"b64_json": file}))
    start, *body = messages
    text = b"".join(message["body"] for message in body)

    assert json.loads(text)["b64_json"] == base64.b64encode(file).decode()
    assert dict(start["headers"])[b"content-length"] == str(len(text)).encode()
    assert [message["more_body"] for message in body] == [True] * (len(body) - 1) + [False]
    rounds = [sent(PiecewiseJSON({"b64_json": file})) for _ in range(ROUNDS)]
    assert min(longest_s / whole_s for _, longest_s, whole_s in rounds) < LONGEST_SHARE


def test_a_small_answer_is_one_message() -> None:
    messages, _, _ = sent(PiecewiseJSON({"b64_json": b"abc", "id": "x"}))
    assert [message["type"] for message in messages] == [
        "http.response.start",
        "http.response.body",
    ]
