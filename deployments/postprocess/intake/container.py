"""What a file is besides its pixels: bytes for a decoder, its colours' profile, its orientation."""

import struct
from dataclasses import dataclass

NOT_READ = "its colour profile cannot be read: its colours are taken as sRGB"
_ORIENTATION, _SHORT = 0x0112, 3


@dataclass(frozen=True, slots=True)
class Container:
    """A file taken apart.

    data: what a decoder is given. profile: ICC, of the colours; None for sRGB, or what the decoder
    finds. exif: as the file has it, "Exif\\0\\0" before it or not. warning: what is wrong with
    what it tells of its colours.
    """

    data: bytes
    profile: bytes | None = None
    exif: bytes = b""
    warning: str | None = None


def orientation(exif: bytes) -> int:
    """Where EXIF says that the camera's top is, 1 to 8 as EXIF counts; 1 where it says nothing that
    can be read."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for i in range(entries):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * i)
            if tag == _ORIENTATION:
                return value if (kind, count) == (_SHORT, 1) and 1 <= value <= 8 else 1
    except struct.error:  # it points beyond its end
        pass
    return 1
