"""A JPEG as viewers take it: without what is not needed to show it, and whole or not."""

from deployments.postprocess import containers
from deployments.postprocess.intake.container import Container

END = b"\xff\xd9"
_EXIF, _PROFILE = b"Exif\0\0", b"ICC_PROFILE\0"
_MOST_SCANS = 100  # each goes over the whole picture


def read(data: bytes) -> Container:
    """The file `data`, which begins as a JPEG does.

    Orientation is told by EXIF's segment alone, as viewers have it. Raises ValueError for more
    segments or scans than a picture can need.
    """
    exif, parts, total = b"", dict[int, bytes](), 0
    found = list(containers.jpeg.segments(data))
    for one in found:
        body = data[one.begin : one.end]
        if one.marker == 0xE1 and body.startswith(_EXIF):
            exif = exif or body
        elif one.marker == 0xE2 and body.startswith(_PROFILE) and len(body) >= 14:
            parts[body[12]], total = body[14:], body[13]
        elif (
            one.marker == containers.jpeg.SCAN and data.count(b"\xff\xda", one.start) > _MOST_SCANS
        ):
            raise ValueError("a JPEG of too many scans")
    whole = parts and sorted(parts) == list(range(1, total + 1))
    profile = b"".join(parts[i] for i in sorted(parts)) if parts else None
    return Container(
        containers.jpeg.shown(data, found), profile if whole or not parts else b"", exif
    )


def ended(data: bytes) -> tuple[bytes, bytes]:
    """A file without an end marker, with one, in two ways that show the same if nothing but the
    marker is missing: a decoder draws what it lacks from whatever comes next."""
    bare = data.rstrip(b"\xff")
    return bare + END, bare + bytes(range(1, 65)) + END
