"""An AVIF as viewers take it: its colours by number where it has no profile, no EXIF."""

import struct
from collections.abc import Iterator

from deployments.postprocess.intake import spaces
from deployments.postprocess.intake.container import NOT_READ, Container

_MOST_BOXES = 4096
_BEFORE = {b"meta": 4, b"stsd": 8, b"av01": 78}  # bytes before the boxes inside these
_SEQUENCE = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"av01", b"colr")


class _Boxes:
    """The boxes between two places of a file (ISO/IEC 14496-12, 4.2), bounded in number."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = _MOST_BOXES

    def between(self, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Each box's kind, where its content begins, and where it ends."""
        while at + 8 <= end and self._left > 0:
            self._left -= 1
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


def read(data: bytes) -> Container:
    """The file `data`, for which `is_avif` holds.

    It is turned and mirrored by its own boxes (ISO/IEC 23000-22, 7.3.6): what EXIF says is passed
    over. A profile of its own is left to the decoder to find.
    """
    boxes, size = _Boxes(data), len(data)
    patched = bytearray(data)
    for start, stop in boxes.find((b"meta", b"iinf"), 0, size):
        entries = start + (6 if data[start : start + 1] == b"\0" else 8)
        for kind, begin, end in boxes.between(entries, stop):
            # version, flags, id of 16 or 32 bits, protection, then the kind of the item
            at = begin + (8 if data[begin : begin + 1] == b"\x02" else 10)
            if kind == b"infe" and at + 4 <= end and data[at : at + 4] == b"Exif":
                patched[at : at + 4] = b"skip"
    numbers = _numbers(data, boxes)
    try:
        if numbers is None:
            return Container(bytes(patched))
        warning = spaces.CUT if numbers[1] in spaces.HDR else None
        return Container(bytes(patched), spaces.named(*numbers), warning=warning)
    except spaces.UnknownSpace:
        return Container(bytes(patched), warning=NOT_READ)


def _numbers(data: bytes, boxes: _Boxes) -> tuple[int, int] | None:
    """Primaries and transfer of the primary item, or of a sequence's track."""
    size = len(data)
    for start, stop in boxes.find((b"meta", b"iprp", b"ipco"), 0, size):
        properties = list(boxes.between(start, stop))
        mine = _of_primary(data, boxes)
        for number, (kind, begin, end) in enumerate(properties, 1):
            told = _nclx(data, begin, end) if kind == b"colr" else None
            if told is not None and (not mine or number in mine):
                return told
    sequences = (_nclx(data, *box) for box in boxes.find(_SEQUENCE, 0, size))
    return next((numbers for numbers in sequences if numbers is not None), None)


def _nclx(data: bytes, begin: int, end: int) -> tuple[int, int] | None:
    if data[begin : begin + 4] != b"nclx" or begin + 8 > end:
        return None
    primaries, transfer = struct.unpack_from(">HH", data, begin + 4)
    return primaries, transfer


def _of_primary(data: bytes, boxes: _Boxes) -> set[int]:
    """The numbers, from 1, of the properties that the primary item has."""
    size = len(data)
    for start, stop in boxes.find((b"meta", b"pitm"), 0, size):
        width = 2 if data[start] == 0 else 4
        primary = int.from_bytes(data[start + 4 : min(stop, start + 4 + width)])
        break
    else:
        return set()
    for start, stop in boxes.find((b"meta", b"iprp", b"ipma"), 0, size):
        if (found := _associated(data[start:stop], primary)) is not None:
            return found
    return set()


def _associated(ipma: bytes, primary: int) -> set[int] | None:
    """Of one table of associations: version, flags, how many items; each item's id, how many
    properties, and their numbers in 7 or 15 bits."""
    wide_id, wide = ipma[:1] != b"\0", bool(ipma[3:4] and ipma[3] & 1)
    at = 8
    for _ in range(min(int.from_bytes(ipma[4:8]), _MOST_BOXES)):
        id_end = at + (4 if wide_id else 2)
        item, count = int.from_bytes(ipma[at:id_end]), int.from_bytes(ipma[id_end : id_end + 1])
        at = id_end + 1 + count * (2 if wide else 1)
        if item == primary:
            numbers = ipma[id_end + 1 : at]
            step, mask = (2, 0x7FFF) if wide else (1, 0x7F)
            return {
                int.from_bytes(numbers[i : i + step]) & mask for i in range(0, len(numbers), step)
            }
    return None
