"""The boxes of an AVIF (ISO/IEC 14496-12, 4.2)."""

import struct
from collections.abc import Iterator
from itertools import chain

_MOST_BOXES = 65_536
_DESCRIBED = ((), (b"moov", b"trak"))  # what has metadata: a picture, and a sequence's tracks
_BEFORE = {b"meta": 4, b"stsd": 8, b"av01": 78}  # bytes before the boxes inside these


# Boxes of boxes, all that may stand in such a file.
_OUTER = (
    *(b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"edts", b"udta", b"mvex", b"moof"),
    *(b"traf", b"mfra", b"meta", b"iprp", b"ipco", b"tref", b"iref", b"sinf", b"schi", b"grpl"),
)
_DEEPEST = 32


class Boxes:
    """The boxes between two places of a file; every walk over them counts against one bound.

    Walking raises ValueError beyond it.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = _MOST_BOXES

    def between(self, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Each box's kind, where its content begins, and where it ends."""
        while at + 8 <= end:
            self._left -= 1
            if self._left < 0:
                raise ValueError("a file of too many boxes")
            size, kind = struct.unpack_from(">I4s", self._data, at)
            head = 8
            if size == 1 and at + 16 <= end:
                (size,) = struct.unpack_from(">Q", self._data, at + 8)
                head = 16
            stop = end if size == 0 else at + size
            if 0 < size < head or stop > end:
                return
            yield kind, at + head, stop
            at = stop

    def find(self, path: tuple[bytes, ...], at: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the content of each box at the end of that path begins and ends."""
        kind, *rest = path
        for found, start, stop in self.between(at, end):
            if found != kind:
                continue
            if not rest:
                yield start, stop
            else:
                yield from self.find(tuple(rest), start + _BEFORE.get(kind, 0), stop)


def is_avif(data: bytes) -> bool:
    """Whether a file is of boxes, as AVIF and its relatives are."""
    return data[4:8] == b"ftyp"


def without_exif(data: bytes, boxes: Boxes) -> bytes:
    """The same file with its EXIF under another name, which decoders pass over."""
    patched = bytearray(data)
    found = (boxes.find((*path, b"meta", b"iinf"), 0, len(data)) for path in _DESCRIBED)
    for start, stop in chain.from_iterable(found):
        entries = start + (6 if data[start : start + 1] == b"\0" else 8)
        for kind, begin, end in boxes.between(entries, stop):
            # version, flags, id of 16 or 32 bits, protection, then the kind of the item
            at = begin + (8 if data[begin : begin + 1] == b"\x02" else 10)
            if kind == b"infe" and at + 4 <= end and data[at : at + 4] == b"Exif":
                patched[at : at + 4] = b"skip"
    return bytes(patched)


def count(data: bytes) -> int:
    """How many boxes a file has, those inside others too. Raises ValueError as walking does, and
    for boxes too deep inside each other."""
    walk, number = Boxes(data), 0
    left = [(0, len(data), 0)]
    while left:
        at, end, depth = left.pop()
        if depth > _DEEPEST:
            raise ValueError("boxes too deep inside each other")
        for kind, begin, stop in walk.between(at, end):
            number += 1
            if kind in _OUTER:
                left.append((begin + _BEFORE.get(kind, 0), stop, depth + 1))
    return number
