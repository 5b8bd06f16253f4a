"""What a file says of its making: an XMP packet, the same in every format.

IPTC's digital source type marks the picture as made by a trained model; our own facts (prompt,
seed, model) stand beside it as plain properties.
"""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping

from PIL import Image

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_OURS = "urn:signboard:facts#"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_.-]*")
# Characters that XML 1.0 cannot carry at all.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
PNG_KEY = "XML:com.adobe.xmp"


def packet(facts: Mapping[str, str], limit: int | None = None) -> tuple[bytes, tuple[str, ...]]:
    """The XMP packet of `facts`, and the names left out to stay within `limit` bytes.

    Names must be plain XML names (ValueError otherwise). The longest values go first.
    """
    kept = dict(facts)
    dropped: list[str] = []
    data = _packet(kept)
    while limit is not None and len(data) > limit and kept:
        longest = max(kept, key=lambda name: len(kept[name].encode("utf-8", "replace")))
        del kept[longest]
        dropped.append(longest)
        data = _packet(kept)
    return data, tuple(dropped)


def _packet(facts: Mapping[str, str]) -> bytes:
    for prefix, uri in (("rdf", _RDF), ("Iptc4xmpExt", _IPTC), ("signboard", _OURS)):
        ET.register_namespace(prefix, uri)
    ET.register_namespace("x", "adobe:ns:meta/")
    root = ET.Element("{adobe:ns:meta/}xmpmeta")
    about = ET.SubElement(ET.SubElement(root, f"{{{_RDF}}}RDF"), f"{{{_RDF}}}Description")
    about.set(f"{{{_RDF}}}about", "")
    ET.SubElement(about, f"{{{_IPTC}}}DigitalSourceType").text = SOURCE_TYPE
    for name, value in sorted(facts.items()):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a fact: it must be a plain XML name")
        ET.SubElement(about, f"{{{_OURS}}}{name}").text = _FORBIDDEN.sub("\ufffd", value)
    body = ET.tostring(root, encoding="unicode")
    head = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{head}{body}<?xpacket end="r"?>'.encode()


def read(data: bytes) -> dict[str, str]:
    """The facts written into a file by `encode`; empty where there are none."""
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "AVIF")) as image:
        found = image.info.get("xmp") or image.info.get(PNG_KEY) or b""
    xml = found.decode("utf-8") if isinstance(found, bytes) else found
    xml = re.sub(r"<\?xpacket.*?\?>", "", xml).strip()
    if not xml:
        return {}
    prefix = f"{{{_OURS}}}"
    return {
        element.tag.removeprefix(prefix): element.text or ""
        for element in ET.fromstring(xml).iter()
        if element.tag.startswith(prefix)
    }
