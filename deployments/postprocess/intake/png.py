"""A PNG as viewers take it: the chunks that make its pixels, and where its colours are said.

All other chunks are passed over unread, so that a fault in one cannot cost the picture: text,
times, animations after the first picture, whatever is private.
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from deployments.postprocess import containers
from deployments.postprocess.intake import spaces
from deployments.postprocess.intake.container import NOT_READ, Container

_PIXELS = (b"PLTE", b"IDAT")
_TOLD = (b"tRNS", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"eXIf")
_GREY, _RGB, _PALETTE, _GREY_ALPHA = 0, 2, 3, 4  # the header's types of colour
_MOST_PROFILE = 2**23  # bytes


@dataclass(frozen=True, slots=True)
class Png(Container):
    """depth: bits a sample. grey: whether it has one channel of colour. key: the samples that are
    transparent; None for none, or where its palette or its alpha says it."""

    depth: int = 8
    grey: bool = False
    key: tuple[int, ...] | None = None


def read(data: bytes) -> Png:
    """The file `data`, which begins as a PNG does. Raises ValueError for what cannot be one."""
    header, pixels, told = _chunks(data)
    depth, colour = header[8], header[9]
    key, mask = None, told.get(b"tRNS", b"")
    if colour in (_GREY, _RGB) and len(mask) >= (2 if colour == _GREY else 6):
        samples = struct.unpack_from(">H" if colour == _GREY else ">3H", mask)
        key = tuple(sample & (1 << depth) - 1 for sample in samples)
    if colour == _PALETTE and mask:
        first = next((i for i, (kind, _) in enumerate(pixels) if kind == b"IDAT"), len(pixels))
        pixels.insert(first, (b"tRNS", mask))
    chunks = [(b"IHDR", header), *pixels, (b"IEND", b"")]
    profile, warning = _space(told)
    return Png(
        containers.png.MAGIC + b"".join(_chunk(kind, body) for kind, body in chunks),
        profile,
        told.get(b"eXIf", b""),
        warning,
        depth,
        colour in (_GREY, _GREY_ALPHA),
        key,
    )


def _chunks(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], dict[bytes, bytes]]:
    """The header, what makes the pixels, and what is told of them; of each kind the first.

    As libpng has it: a fault costs a chunk that only tells, and no end is needed.
    """
    header, told = b"", dict[bytes, bytes]()
    pixels: list[tuple[bytes, bytes]] = []
    for kind, begin, end in containers.png.chunks(data):
        if kind == b"IHDR" or kind in _PIXELS or (kind in _TOLD and kind not in told):
            body = data[begin:end]
            whole = data[end : end + 4] == _sum(kind, body)
            if kind in _TOLD:
                told |= {kind: body} if whole else {}
            elif kind == b"IHDR":
                header = header or (body if whole else b"")
            elif whole or end + 4 > len(data):  # cut short: what is there may suffice
                pixels.append((kind, body))
            else:
                raise ValueError("a PNG with a fault where its pixels are")
    if len(header) != 13:
        raise ValueError("no PNG, or one with a fault in its header")
    return header, pixels, told


def _space(told: Mapping[bytes, bytes]) -> tuple[bytes | None, str | None]:
    """The profile of its colours, None for sRGB; and what is wrong with what it tells of them.

    In the order of the PNG specification (third edition, 4.3): cICP, iCCP, sRGB, gAMA and cHRM.
    """
    try:
        if len(told.get(b"cICP", b"")) == 4:
            primaries, transfer = told[b"cICP"][:2]
            said = spaces.CUT if transfer in spaces.HDR else None
            return spaces.named(primaries, transfer), said
        if b"iCCP" in told:
            return _inflated(told[b"iCCP"]), None
        if b"sRGB" not in told and len(told.get(b"gAMA", b"")) == 4:
            gamma = int.from_bytes(told[b"gAMA"]) / 100_000
            points = told.get(b"cHRM", b"")
            values = (
                tuple(value / 100_000 for value in struct.unpack(">8I", points))
                if len(points) == 32
                else None
            )
            return spaces.of_gamma(gamma, values), None
    except (spaces.UnknownSpace, zlib.error, ValueError):
        return None, NOT_READ
    return None, None


def _inflated(chunk: bytes) -> bytes:
    """The profile of an iCCP chunk: a name, a zero, how it is packed, and it."""
    packed = chunk[chunk.index(b"\0") + 2 :]
    unpacker = zlib.decompressobj()
    profile = unpacker.decompress(packed, _MOST_PROFILE)
    if not unpacker.eof:
        raise ValueError("a profile that is cut short, or of many megabytes")
    return profile


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + _sum(kind, body)


def _sum(kind: bytes, body: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(kind)).to_bytes(4)
