"""What a file says of its making: an XMP packet, the same in every format, a JPEG's in segments.

IPTC's digital source type marks every picture as made by a trained model; our own facts (prompt,
seed, model, all that `facts` names) stand beside it as plain properties. A packet of more bytes
than a JPEG's segment holds is parted by the standard: its longest properties go into an extension,
which the packet names by its hash (XMP specification, part 3, 1.1.3.1).
"""

import hashlib
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from deployments.postprocess.schema import FORMATS

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_NOTE = "http://ns.adobe.com/xmp/note/"
_OURS = "urn:signboard:facts#"
_PREFIXES = {
    "x": "adobe:ns:meta/",
    "rdf": _RDF,
    "dc": _DC,
    "Iptc4xmpExt": _IPTC,
    "xmpNote": _NOTE,
    "signboard": _OURS,
}
for _prefix, _uri in _PREFIXES.items():
    ET.register_namespace(_prefix, _uri)
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
PNG_KEY = "XML:com.adobe.xmp"
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_.-]*")
# Characters that XML 1.0 cannot carry at all: a value with one of them is written as JSON, and its
# name among the escaped ones.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPED = f"{{{_OURS}}}escaped"
_HAS_EXTENSION = f"{{{_NOTE}}}HasExtendedXMP"
_DESCRIPTION = f"{{{_DC}}}description"
# Of a JPEG's segments: a packet of one, less its length and its name; and an extension's pieces.
PACKET_LIMIT = 65_502
_PACKET = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_PIECE = 65_400  # as the standard advises
_GUID = 32
_HEAD = len(_EXTENSION) + _GUID + 8


@dataclass(frozen=True, slots=True)
class Packet:
    """An XMP packet, and the extension that holds what it had no room for."""

    standard: bytes
    extension: bytes | None = None


@dataclass(frozen=True, slots=True)
class Marks:
    """What a file says. facts: ours, by name. source_type: IPTC's digital source type.

    description: in words, such as the AI label's. warnings: what could not be read.
    """

    facts: Mapping[str, str]
    source_type: str | None = None
    description: str | None = None
    warnings: tuple[str, ...] = ()


class DamagedExtension(Exception):
    """Pieces that do not make the whole."""


def packet(
    facts: Mapping[str, str], description: str | None = None, limit: int | None = None
) -> Packet:
    """The XMP of `facts` and a `description`, of which no packet exceeds `limit` bytes.

    Names must be plain XML names (ValueError otherwise).
    """
    properties = list(_properties(facts, description))
    whole = _wrapped(_xml(properties))
    if limit is None or len(whole) <= limit:
        return Packet(whole)
    properties.sort(key=lambda one: len(ET.tostring(one)))
    apart: list[ET.Element] = []
    while True:
        apart.append(properties.pop())
        extension = _xml(apart).encode()
        guid = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
        standard = _wrapped(_xml([*properties, _element(_HAS_EXTENSION, guid)]))
        if len(standard) <= limit:
            return Packet(standard, extension)


def read(data: bytes) -> Marks:
    """The marks of a PNG, JPEG, WebP or AVIF file. Raises what Pillow raises for what is none."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        found = image.info.get("xmp") or image.info.get(PNG_KEY) or b""
        segments = getattr(image, "applist", ())  # of JPEG alone
    try:
        properties = _parsed(found)
        if _HAS_EXTENSION in properties:
            properties |= _parsed(read_extension(segments, properties[_HAS_EXTENSION]))
    except (ET.ParseError, ValueError):
        return Marks({}, warnings=("its XMP metadata is damaged and was not read",))
    except DamagedExtension:
        damaged = ("the extended part of its XMP metadata is damaged and was not read",)
        return _marks(properties, damaged)
    return _marks(properties)


def segments(standard: bytes, extension: bytes | None) -> bytes:
    """A JPEG's APP1 segments, markers and all, of a packet of at most PACKET_LIMIT bytes."""
    parts = [_segment(_PACKET + standard)]
    if extension is not None:
        guid = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
        head = _EXTENSION + guid + len(extension).to_bytes(4, "big")
        parts += [
            _segment(head + start.to_bytes(4, "big") + extension[start : start + _PIECE])
            for start in range(0, len(extension), _PIECE)
        ]
    return b"".join(parts)


def read_extension(found: Sequence[tuple[str, bytes]], guid: str) -> bytes:
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


def _properties(facts: Mapping[str, str], description: str | None) -> Iterator[ET.Element]:
    yield _element(f"{{{_IPTC}}}DigitalSourceType", SOURCE_TYPE)
    if description is not None:
        element = ET.Element(_DESCRIPTION)
        item = ET.SubElement(ET.SubElement(element, f"{{{_RDF}}}Alt"), f"{{{_RDF}}}li")
        item.set("{http://www.w3.org/XML/1998/namespace}lang", "x-default")
        item.text = description
        yield element
    escaped = [name for name, value in sorted(facts.items()) if _FORBIDDEN.search(value)]
    if escaped:
        yield _element(_ESCAPED, " ".join(escaped))
    for name, value in sorted(facts.items()):
        if not _NAME.fullmatch(name) or name == "escaped":
            raise ValueError(f"{name!r} cannot name a fact: it must be a plain XML name")
        yield _element(f"{{{_OURS}}}{name}", json.dumps(value) if name in escaped else value)


def _element(tag: str, text: str) -> ET.Element:
    element = ET.Element(tag)
    element.text = text
    return element


def _xml(properties: list[ET.Element]) -> str:
    root = ET.Element(f"{{{_PREFIXES['x']}}}xmpmeta")
    about = ET.SubElement(ET.SubElement(root, f"{{{_RDF}}}RDF"), f"{{{_RDF}}}Description")
    about.set(f"{{{_RDF}}}about", "")
    about.extend(properties)
    # A bare carriage return would be read as a newline.
    return ET.tostring(root, encoding="unicode").replace("\r", "&#13;")


def _wrapped(xml: str) -> bytes:
    head = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{head}{xml}<?xpacket end="r"?>'.encode()


def _parsed(found: bytes | str) -> dict[str, str]:
    """The properties of an XMP packet, by their tags; other tools write them as attributes."""
    xml = found.decode("utf-8") if isinstance(found, bytes) else found
    xml = re.sub(r"<\?xpacket.*?\?>", "", xml).strip().strip("\0\ufeff")
    if not xml:
        return {}
    if "<!" in xml:
        raise ValueError("declarations have no place in XMP, and entities may grow without bounds")
    properties: dict[str, str] = {}
    for about in ET.fromstring(xml).iter(f"{{{_RDF}}}Description"):
        properties |= {tag: value for tag, value in about.attrib.items()}
        properties |= {one.tag: "".join(one.itertext()) for one in about}
    return properties


def _marks(properties: Mapping[str, str], warnings: tuple[str, ...] = ()) -> Marks:
    prefix = f"{{{_OURS}}}"
    escaped = properties.get(_ESCAPED, "").split()
    facts = {}
    for tag, text in properties.items():
        name = tag.removeprefix(prefix)
        if tag in (name, _ESCAPED):
            continue
        value = json.loads(text) if name in escaped else text
        if isinstance(value, str):
            facts[name] = value
    description = properties.get(_DESCRIPTION)
    return Marks(
        facts,
        properties.get(f"{{{_IPTC}}}DigitalSourceType"),
        description.strip() if description else None,
        warnings,
    )


def _segment(data: bytes) -> bytes:
    return b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data
