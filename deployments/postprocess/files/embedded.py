"""Where the formats keep what a file says of itself, found by walks that a hostile file bounds.

Decoders read far more than is asked for when they open a file: every text of a PNG, all of EXIF.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from deployments.postprocess.containers import boxes, jpeg, png, riff

MOST_XMP = 2**20  # bytes of a packet, or of its extension; ours have some thousand
PNG_KEY = "XML:com.adobe.xmp"
PACKET = b"http://ns.adobe.com/xap/1.0/\0"  # how a JPEG's segment of a packet begins
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_MOST_PARTS = 4096  # of a file whose credentials are checked, which takes the square of them
_MOST_MANIFEST = 2**22  # bytes
_MANIFEST_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA 2.2, A.5


@dataclass(frozen=True, slots=True)
class Embedded:
    """bare: the file as a decoder is given it that is asked for its format and size alone. xmp: a
    packet, empty for none, None for one that is too long. pieces: a JPEG's segments of a packet's
    extension.

    manifests: bytes of content credentials. parts: how many the file has.
    """

    bare: bytes
    xmp: bytes | None
    pieces: tuple[bytes, ...]
    manifests: int
    parts: int

    @property
    def is_checkable(self) -> bool:
        """Whether credentials can be checked within bounds."""
        return self.parts <= _MOST_PARTS and self.manifests <= _MOST_MANIFEST


def find(data: bytes) -> Embedded:
    """What a PNG, JPEG, WebP or AVIF file embeds; nothing of what is none.

    Raises ValueError for a file of more parts than a picture can need, and what Pillow raises for a
    damaged AVIF.
    """
    if data.startswith(png.MAGIC):
        return _of_png(data)
    if data.startswith(jpeg.MAGIC):
        return _of_jpeg(data)
    if riff.is_webp(data):
        return _of_webp(data)
    if boxes.is_avif(data):
        return _of_avif(data)
    return Embedded(data, b"", (), 0, 0)


def _of_png(data: bytes) -> Embedded:
    chunks = list(png.chunks(data))
    texts = (data[one.begin : one.end] for one in chunks if one.kind == b"iTXt")
    name = f"{PNG_KEY}\0".encode()
    xmp = next((_text(text[len(name) :]) for text in texts if text.startswith(name)), b"")
    manifests = sum(one.end - one.begin for one in chunks if one.kind == b"caBX")
    return Embedded(png.head(data), xmp, (), manifests, len(chunks))


def _text(rest: bytes) -> bytes | None:
    """Of an iTXt chunk what follows its keyword: whether it is packed, and how, two names that end
    in a zero, and the text; none of what is damaged."""
    *_, text = rest[2:].split(b"\0", 2)
    if rest[:1] != b"\1":
        return _within(text)
    try:
        return _within(zlib.decompressobj().decompress(text, MOST_XMP + 1))
    except zlib.error:
        return b"its text is damaged"


def _of_jpeg(data: bytes) -> Embedded:
    segments = list(jpeg.segments(data))
    marked = [data[one.begin : one.end] for one in segments if one.marker == 0xE1]
    packets = (body[len(PACKET) :] for body in marked if body.startswith(PACKET))
    return Embedded(
        jpeg.shown(data, segments),
        next(packets, b""),
        tuple(body for body in marked if body.startswith(EXTENSION)),
        sum(one.end - one.begin for one in segments if one.marker == 0xEB),
        len(segments),
    )


def _of_webp(data: bytes) -> Embedded:
    chunks = list(riff.chunks(data))
    xmp = next((_within(data[a:b]) for kind, a, b in chunks if kind == b"XMP "), b"")
    manifests = sum(b - a for kind, a, b in chunks if kind == b"C2PA")
    return Embedded(data, xmp, (), manifests, len(chunks))


def _of_avif(data: bytes) -> Embedded:
    walk = boxes.Boxes(data)
    bare = boxes.without_exif(data, walk)
    with Image.open(io.BytesIO(bare), formats=("AVIF",)) as image:
        xmp = _within(image.info.get("xmp", b""))
    return Embedded(bare, xmp, (), sum(_manifests(data, walk)), boxes.count(data))


def _manifests(data: bytes, walk: boxes.Boxes) -> Iterator[int]:
    for kind, begin, end in walk.between(0, len(data)):
        if kind == b"uuid" and data[begin : begin + 16] == _MANIFEST_BOX:
            yield end - begin


def _within(xmp: bytes) -> bytes | None:
    return xmp if len(xmp) <= MOST_XMP else None
