"""The chunks of a WebP (RFC 9649, 2.3)."""

import struct
from collections.abc import Iterator

_MOST_CHUNKS = 65_536


def is_webp(data: bytes) -> bool:
    """Whether a file begins as a WebP does."""
    return data.startswith(b"RIFF") and data[8:12] == b"WEBP"


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each, and where what it holds begins and ends; the file may end before.

    Raises ValueError for more chunks than a picture can need.
    """
    at = 12
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, at + 8, at + 8 + length
        at += 8 + length + length % 2
    raise ValueError("a WebP of too many chunks")
