"""The chunks of a PNG (PNG specification, third edition, 5.3)."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

MAGIC = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS = 65_536
_NO_PIXELS = bytes(4) + b"IDAT" + zlib.crc32(b"IDAT").to_bytes(4)


class Chunk(NamedTuple):
    """kind: its four letters. begin, end: of what it holds; the file may end before."""

    kind: bytes
    begin: int
    end: int


def chunks(data: bytes) -> Iterator[Chunk]:
    """Those of a file, which begins with MAGIC, up to its end or its IEND, which is not among them.

    Raises ValueError for more chunks than a picture can need.
    """
    at = len(MAGIC)
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return
        yield Chunk(kind, at + 8, at + 8 + length)
        at += 12 + length
    raise ValueError("a PNG of too many chunks")


def head(data: bytes) -> bytes:
    """The same file of its header alone, without pixels: enough to tell its size."""
    return data[: len(MAGIC) + 25] + _NO_PIXELS
