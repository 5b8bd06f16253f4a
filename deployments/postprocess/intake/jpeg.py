"""A JPEG as viewers take it: without what is not needed to show it, and whole or not."""

from deployments.postprocess.intake.container import Container

MAGIC = b"\xff\xd8\xff"
END = b"\xff\xd9"
_START, _SCAN = b"\xff\xd8", 0xDA
_ALONE = (0x01, *range(0xD0, 0xD8))  # markers without a length
_SHOWN = (0xE0, 0xEE)  # of the applications' segments: JFIF's, and Adobe's, which tells colours
_EXIF, _PROFILE = b"Exif\0\0", b"ICC_PROFILE\0"
_MOST_SEGMENTS, _MOST_SCANS = 16_384, 100  # each scan goes over the whole picture


def read(data: bytes) -> Container:
    """The file `data`, which begins with MAGIC.

    Orientation is told by EXIF's segment alone, as viewers have it. Raises ValueError for more
    segments or scans than a picture can need.
    """
    kept, exif, parts = [_START], b"", dict[int, bytes]()
    at, total = 2, 0
    for _ in range(_MOST_SEGMENTS):
        start = at
        while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] == b"\xff":
            at += 1  # any number of them may fill the gap before a marker
        marker = data[at + 1] if data[at : at + 1] == b"\xff" and at + 1 < len(data) else _SCAN
        if marker == _SCAN:
            break
        end = at + 2 if marker in _ALONE else at + 2 + int.from_bytes(data[at + 2 : at + 4])
        body, at = data[at + 4 : end], max(end, at + 2)
        if marker == 0xE1 and body.startswith(_EXIF):
            exif = exif or body
        elif marker == 0xE2 and body.startswith(_PROFILE) and len(body) >= 14:
            parts[body[12]], total = body[14:], body[13]
        elif marker in _SHOWN or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(data[start:at])
    else:
        raise ValueError("a JPEG of too many segments")
    if data.count(b"\xff\xda", start) > _MOST_SCANS:
        raise ValueError("a JPEG of too many scans")
    whole = parts and sorted(parts) == list(range(1, total + 1))
    profile = b"".join(parts[i] for i in sorted(parts)) if parts else None
    return Container(b"".join(kept) + data[start:], profile if whole or not parts else b"", exif)


def ended(data: bytes) -> tuple[bytes, bytes]:
    """A file without an end marker, with one, in two ways that show the same if nothing but the
    marker is missing: a decoder draws what it lacks from whatever comes next."""
    bare = data.rstrip(b"\xff")
    return bare + END, bare + bytes(range(1, 65)) + END
