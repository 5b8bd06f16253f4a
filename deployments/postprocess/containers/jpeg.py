"""The segments of a JPEG (ITU-T T.81, B.1.1)."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MAGIC = b"\xff\xd8\xff"
START, SCAN = b"\xff\xd8", 0xDA
_FILL = re.compile(rb"\xff*")
_ALONE = (0x01, *range(0xD0, 0xD8))  # markers without a length
_SHOWN = (0xE0, 0xEE)  # of the applications' segments: JFIF's, and Adobe's, which tells colours
_MOST_SEGMENTS = 16_384


class Segment(NamedTuple):
    """marker: its second byte. start: where that begins, behind any fill bytes. begin, end: of
    what it holds."""

    marker: int
    start: int
    begin: int
    end: int

    @property
    def is_shown(self) -> bool:
        """Whether the picture needs it, which comments and most of applications' it does not."""
        return self.marker in _SHOWN or not (0xE0 <= self.marker <= 0xEF or self.marker == 0xFE)


def segments(data: bytes) -> Iterator[Segment]:
    """Those of a file, which begins with MAGIC; the last is of SCAN, where the pixels begin, or
    what stands in their place.

    Raises ValueError for more segments than a picture can need.
    """
    at = 2
    for _ in range(_MOST_SEGMENTS):
        filled = _FILL.match(data, at)
        if filled is not None:
            at = max(at, filled.end() - 1)  # any number may fill the gap before a marker
        marker = data[at + 1] if data[at : at + 1] == b"\xff" and at + 1 < len(data) else SCAN
        if marker == SCAN:
            yield Segment(SCAN, at, at, len(data))
            return
        end = at + 2 if marker in _ALONE else at + 2 + int.from_bytes(data[at + 2 : at + 4])
        yield Segment(marker, at, at + 4, end)
        at = max(end, at + 2)
    raise ValueError("a JPEG of too many segments")


def shown(data: bytes, found: Iterable[Segment]) -> bytes:
    """The same file with what of its segments `found` shows its picture."""
    return START + b"".join(data[one.start : one.end] for one in found if one.is_shown)
