"""XMP in a JPEG's application segments: the packet, and the extension that one is too small for.

An extension lies in pieces, each headed by the hash of the whole, its length, and where the piece
belongs (XMP specification, part 3, 1.1.3.1).
"""

import hashlib
from collections.abc import Sequence

PACKET_LIMIT = 65_502  # one segment less its length and the name below
_PACKET = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_PIECE = 65_400  # as the standard advises
_GUID = 32
_HEAD = len(_EXTENSION) + _GUID + 8


class DamagedExtension(Exception):
    """Pieces that do not make the whole."""


def segments(standard: bytes, extension: bytes | None) -> bytes:
    """APP1 segments, markers and all, of a packet of at most PACKET_LIMIT bytes."""
    parts = [_segment(_PACKET + standard)]
    if extension is not None:
        guid = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
        head = _EXTENSION + guid + len(extension).to_bytes(4, "big")
        parts += [
            _segment(head + start.to_bytes(4, "big") + extension[start : start + _PIECE])
            for start in range(0, len(extension), _PIECE)
        ]
    return b"".join(parts)


def extension(found: Sequence[tuple[str, bytes]], guid: str) -> bytes:
    """The extension called `guid`, of segments by the names of their markers.

    Raises DamagedExtension unless it is there whole, with the hash that it is named for.
    """
    head = _EXTENSION + guid.encode("ascii", "replace")
    pieces = {
        int.from_bytes(data[_HEAD - 4 : _HEAD], "big"): data[_HEAD:]
        for name, data in found
        if name == "APP1" and data.startswith(head)
    }
    whole = b"".join(piece for _, piece in sorted(pieces.items()))
    if hashlib.md5(whole, usedforsecurity=False).hexdigest().upper() != guid:
        raise DamagedExtension
    return whole


def _segment(data: bytes) -> bytes:
    return b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data
