"""What a file says of its making: an XMP packet, the same in every format, a JPEG's in segments.

IPTC's digital source type marks every picture as made by a trained model; our own facts (prompt,
seed, model, all that `facts` names) stand beside it as plain properties. A packet of more bytes
than a JPEG's segment holds is parted by the standard: its longest properties go into an extension,
which the packet names by its hash (XMP specification, part 3, 1.1.3.1).

A stranger's packet is read as it streams by: in bounded time and memory, without a tree of it.
"""

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.parsers.expat import errors

from deployments.postprocess.files import embedded
from deployments.postprocess.files.embedded import EXTENSION, MOST_XMP, PACKET, Embedded

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
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_.-]*")
# Characters that XML 1.0 cannot carry at all: a value with one of them is written as JSON, and its
# name among the escaped ones.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPED = f"{{{_OURS}}}escaped"
_HAS_EXTENSION = f"{{{_NOTE}}}HasExtendedXMP"
_DESCRIPTION = f"{{{_DC}}}description"
_SOURCE_TYPE = f"{{{_IPTC}}}DigitalSourceType"
_EMPTY = errors.codes[errors.XML_ERROR_NO_ELEMENTS]
# Of what is read: bytes parsed at once, between which others have the interpreter; elements inside
# each other; and letters of a namespace, which the parser writes out before every name.
_AT_ONCE, _DEEPEST, _LONGEST_NAMESPACE = 4096, 128, 256
# Of a JPEG's segments: a packet of one, less its length and its name; and an extension's pieces.
PACKET_LIMIT = 65_502
_PIECE = 65_400  # as the standard advises
_GUID = 32
_HEAD = len(EXTENSION) + _GUID + 8


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
    """The marks of a PNG, JPEG, WebP or AVIF file. Raises what `embedded.find` raises."""
    return of_embedded(embedded.find(data))


def of_embedded(found: Embedded) -> Marks:
    """The marks of a file by what it embeds."""
    if found.xmp is None:
        return Marks({}, warnings=(f"its XMP metadata is longer than {MOST_XMP} bytes: not read",))
    try:
        properties = _parsed(found.xmp)
    except (ET.ParseError, ValueError):
        return Marks({}, warnings=("its XMP metadata is damaged and was not read",))
    try:
        if _HAS_EXTENSION in properties:
            extension = read_extension(found.pieces, properties[_HAS_EXTENSION])
            properties |= _parsed(extension)
    except (ET.ParseError, ValueError, DamagedExtension):
        damaged = ("the extended part of its XMP metadata is damaged and was not read",)
        return _marks(properties, damaged)
    return _marks(properties)


def segments(standard: bytes, extension: bytes | None) -> bytes:
    """A JPEG's APP1 segments, markers and all, of a packet of at most PACKET_LIMIT bytes."""
    parts = [_segment(PACKET + standard)]
    if extension is not None:
        guid = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
        head = EXTENSION + guid + len(extension).to_bytes(4, "big")
        parts += [
            _segment(head + start.to_bytes(4, "big") + extension[start : start + _PIECE])
            for start in range(0, len(extension), _PIECE)
        ]
    return b"".join(parts)


def read_extension(pieces: Sequence[bytes], guid: str) -> bytes:
    """The extension called `guid`, of the segments that begin with EXTENSION.

    Raises DamagedExtension unless it is there whole, with the hash that it is named for, and of at
    most MOST_XMP bytes.
    """
    head = EXTENSION + guid.encode("ascii", "replace")
    parts = {
        int.from_bytes(data[_HEAD - 4 : _HEAD], "big"): data[_HEAD:]
        for data in pieces
        if data.startswith(head)
    }
    if sum(map(len, parts.values())) > MOST_XMP:
        raise DamagedExtension
    whole = b"".join(part for _, part in sorted(parts.items()))
    if hashlib.md5(whole, usedforsecurity=False).hexdigest().upper() != guid:
        raise DamagedExtension
    return whole


def _properties(facts: Mapping[str, str], description: str | None) -> Iterator[ET.Element]:
    yield _element(_SOURCE_TYPE, SOURCE_TYPE)
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


def _parsed(xmp: bytes) -> dict[str, str]:
    """The properties of an XMP packet that are read here, by their tags.

    Raises ET.ParseError or ValueError.
    """
    xml = xmp.decode("utf-8").strip("\0\ufeff \t\r\n")
    properties = _Properties()
    if not xml:
        return properties.found
    if "<!DOCTYPE" in xml:
        raise ValueError("declarations have no place in XMP, and entities may grow without bounds")
    parser = ET.XMLParser(target=properties)
    for start in range(0, len(xml), _AT_ONCE):
        parser.feed(xml[start : start + _AT_ONCE])
    try:
        parser.close()
    except ET.ParseError as error:
        if properties.has_elements or error.code != _EMPTY:
            raise
    return properties.found


class _Properties:
    """What a parser tells its events: `found` are the properties of every rdf:Description, by their
    tags; other tools write them as attributes. Raises ValueError for what no packet needs.
    """

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.has_elements = False
        self._depth = 0
        self._about = 0  # how deep the description lies that is being read; 0 for none
        self._text: list[str] = []

    def start_ns(self, _prefix: str, uri: str) -> None:
        """A namespace, whose name every element of it repeats."""
        if len(uri) > _LONGEST_NAMESPACE:
            raise ValueError("a namespace of too many letters")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        self.has_elements = True
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("elements too deep inside each other")
        if not self._about and tag == f"{{{_RDF}}}Description":
            self._about = self._depth
            self.found |= {name: text for name, text in attributes.items() if _is_read(name)}
        elif self._depth == self._about + 1:
            self._text = []

    def data(self, text: str) -> None:
        """A piece of text."""
        if self._about:
            self._text.append(text)

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._about and self._depth == self._about + 1 and _is_read(tag):
            self.found[tag] = "".join(self._text)
        if self._depth == self._about:
            self._about = 0
        self._depth -= 1

    def close(self) -> None:
        """The packet ends."""


def _is_read(tag: str) -> bool:
    return tag in (_SOURCE_TYPE, _DESCRIPTION, _HAS_EXTENSION) or tag.startswith(f"{{{_OURS}}}")


def _marks(properties: Mapping[str, str], warnings: tuple[str, ...] = ()) -> Marks:
    prefix = f"{{{_OURS}}}"
    escaped = set(properties.get(_ESCAPED, "").split())
    facts = {}
    for tag, text in properties.items():
        name = tag.removeprefix(prefix)
        if tag in (name, _ESCAPED):
            continue
        try:
            value = json.loads(text) if name in escaped else text
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, str):
            facts[name] = value
        else:
            warnings = (*warnings, f"the fact {name!r} is damaged and was not read")
    description = properties.get(_DESCRIPTION)
    return Marks(
        facts,
        properties.get(_SOURCE_TYPE),
        description.strip() if description else None,
        warnings,
    )


def _segment(data: bytes) -> bytes:
    return b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data
