"""An AVIF as viewers take it: its colours by number where it has no profile, no EXIF."""

import struct

from deployments.postprocess.containers import boxes
from deployments.postprocess.intake import spaces
from deployments.postprocess.intake.container import NOT_READ, Container

_MOST_ITEMS = 4096
_SEQUENCE = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"av01", b"colr")


def read(data: bytes) -> Container:
    """The file `data`, of boxes.

    It is turned and mirrored by its own boxes (ISO/IEC 23000-22, 7.3.6): what EXIF says is passed
    over. A profile of its own is left to the decoder to find.
    """
    walk = boxes.Boxes(data)
    bare = boxes.without_exif(data, walk)
    numbers = _numbers(data, walk)
    try:
        if numbers is None:
            return Container(bare)
        warning = spaces.CUT if numbers[1] in spaces.HDR else None
        return Container(bare, spaces.named(*numbers), warning=warning)
    except spaces.UnknownSpace:
        return Container(bare, warning=NOT_READ)


def _numbers(data: bytes, walk: boxes.Boxes) -> tuple[int, int] | None:
    """Primaries and transfer of the primary item, or of a sequence's track."""
    size = len(data)
    for start, stop in walk.find((b"meta", b"iprp", b"ipco"), 0, size):
        properties = list(walk.between(start, stop))
        mine = _of_primary(data, walk)
        for number, (kind, begin, end) in enumerate(properties, 1):
            told = _nclx(data, begin, end) if kind == b"colr" else None
            if told is not None and (not mine or number in mine):
                return told
    sequences = (_nclx(data, *box) for box in walk.find(_SEQUENCE, 0, size))
    return next((numbers for numbers in sequences if numbers is not None), None)


def _nclx(data: bytes, begin: int, end: int) -> tuple[int, int] | None:
    if data[begin : begin + 4] != b"nclx" or begin + 8 > end:
        return None
    primaries, transfer = struct.unpack_from(">HH", data, begin + 4)
    return primaries, transfer


def _of_primary(data: bytes, walk: boxes.Boxes) -> set[int]:
    """The numbers, from 1, of the properties that the primary item has."""
    size = len(data)
    for start, stop in walk.find((b"meta", b"pitm"), 0, size):
        width = 2 if data[start] == 0 else 4
        primary = int.from_bytes(data[start + 4 : min(stop, start + 4 + width)])
        break
    else:
        return set()
    for start, stop in walk.find((b"meta", b"iprp", b"ipma"), 0, size):
        if (found := _associated(data[start:stop], primary)) is not None:
            return found
    return set()


def _associated(ipma: bytes, primary: int) -> set[int] | None:
    """Of one table of associations: version, flags, how many items; each item's id, how many
    properties, and their numbers in 7 or 15 bits."""
    wide_id, wide = ipma[:1] != b"\0", bool(ipma[3:4] and ipma[3] & 1)
    at = 8
    for _ in range(min(int.from_bytes(ipma[4:8]), _MOST_ITEMS)):
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
