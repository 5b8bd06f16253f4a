"""Good pictures with hostile metadata, made on the spot: XMP, EXIF, ICC, IPTC, C2PA, texts, boxes.

Each shows the same small picture; what stands beside it is meant to cost time, memory or a crash.
"""

import struct
import zlib
from collections.abc import Iterator
from functools import partial

from deployments.postprocess.files import xmp
from deployments.postprocess.files.formats import encode
from deployments.postprocess.schema.placements import Output
from tests.unit.postprocess.pictures import as_file, noise

Named = Iterator[tuple[str, bytes]]
MIB = 2**20
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_OURS = "urn:signboard:facts#"
_JUMB = struct.Struct(">I4s")


def hostile_metadata(signed: dict[str, bytes]) -> dict[str, bytes]:
    """The files, by names that say what they are; signed: with credentials, by their format."""
    parts = (_xmp(), _facts(), _extended(), _exif(), _profiles(), _photoshop(), _texts(), _many())
    made = {name: data for part in (*parts, _credentials(signed)) for name, data in part}
    assert len(made) >= 250
    return made


def _packets() -> Iterator[tuple[str, bytes]]:
    """XMP of about as many bytes as are read, or of more."""
    open_about = f"<r:RDF xmlns:r='{_RDF}' xmlns:s='{_OURS}'><r:Description>"
    close_about = "</r:Description></r:RDF>"
    for size in (200_000, MIB - 1000, 3 * MIB):
        long = "a" * size
        half = size // 2
        yield from (
            (f"{name}, {size}", text.encode())
            for name, text in (
                ("open instructions", "<?xpacket " * (size // 10)),
                ("open comments", "<!--" * (size // 4)),
                ("open literal text", "<![CDATA[" * (size // 9)),
                ("open tags", "<a " * (size // 3)),
                ("open quotes", "<a b='" * (size // 6)),
                ("question marks", "<?xpacket " + "?" * size),
                ("white space", " " * size),
                ("zeros", "\0" * size),
                ("marks of order", "\ufeff" * (size // 3)),
                ("nested", "<a>" * (size // 3)),
                ("nested descriptions", (open_about + "x") * (size // len(open_about))),
                ("nested inside", open_about + "<r:Description>x" * (size // 16)),
                ("empty elements", f"{open_about}{'<a/>' * (size // 4)}{close_about}"),
                ("empty facts", f"{open_about}{'<s:a/>' * (size // 6)}{close_about}"),
                ("many facts", open_about + _many_facts(size) + close_about),
                ("many attributes", f"<a {_attributes(size)}/>"),
                ("many namespaces", f"<a {_namespaces(size)}/>"),
                ("a long namespace", f"<a xmlns:b='{'u' * half}'>{'<b:a/>' * (half // 6)}</a>"),
                ("a namespace in letters", f"<a xmlns:b='{'&#9;' * (half // 4)}'><b:a/></a>"),
                ("a long name", f"<{long}/>"),
                ("a long value", f"{open_about}<s:prompt>{long}</s:prompt>{close_about}"),
                ("references", f"{open_about}<s:prompt>{'&#9;' * (size // 4)}</s:prompt>"),
                ("entities", f"<!DOCTYPE a [<!ENTITY b '{'c' * half}'>]><a>{'&b;' * 9999}</a>"),
                ("a long escape", f"{open_about}<s:escaped>{'a ' * half}</s:escaped>{close_about}"),
            )
        )
    laughs = "".join(f"<!ENTITY l{n} '" + f"&l{n - 1};" * 10 + "'>" for n in range(1, 12))
    yield "laughs", f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><x>&l11;</x>'.encode()
    yield "a file from outside", b'<!DOCTYPE x [<!ENTITY a SYSTEM "/etc/passwd">]><x>&a;</x>'
    yield "utf-16", "<a/>".encode("utf-16")
    yield "another encoding", b"<?xml version='1.0' encoding='utf-7'?><a/>"


def _many_facts(size: int) -> str:
    return "".join(f"<s:f{i}>{i}</s:f{i}>" for i in range(size // 24))


def _attributes(size: int) -> str:
    return " ".join(f"b{i}=''" for i in range(size // 10))


def _namespaces(size: int) -> str:
    return " ".join(f"xmlns:b{i}='u'" for i in range(size // 18))


def _xmp() -> Named:
    for number, (name, packet) in enumerate(_packets()):
        for kind in ("PNG", "JPEG", "WEBP", "AVIF") if number % 3 == 0 else ("WEBP", "PNG"):
            if kind == "JPEG":
                packet = packet[: xmp.PACKET_LIMIT]
            yield f"xmp of {name} in {kind}", _with_xmp(kind, packet)


def _with_xmp(kind: str, packet: bytes) -> bytes:
    if kind != "PNG":
        return as_file(noise(24, 18), kind, xmp=packet)
    return _png((b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet)))


def _facts() -> Named:
    """Facts such as we write, with values that no request has."""
    sound = {"prompt": "x", "seed": "7", "width": "64", "height": "48", "index": "0"}
    values = (
        "[" * 900 + "]" * 900, "[" * 200_000, "NaN", "Infinity", "1e999", "9" * 4200, "9" * 5000,
        "-" + "9" * 4299, '"\\ud800"', '"\\u0000"', "[]", "{}", '"x"', "null", "true", "1.5", "-1",
        "[" + "0," * 90_000 + "0]", '{"layouts": "xx"}', '{"layouts": 1e300}', "[1]", "",
        '{"layouts": [1]}', '{"a":' * 300 + "1" + "}" * 300,
    )  # fmt: skip
    for name in ("seed", "width", "index", "overlay", "references", "layout", "strength", "styles"):
        for number, value in enumerate(values):
            kind = ("png", "webp")[number % 2]
            data = encode(noise(24, 18), Output(kind), {**sound, name: value})
            yield f"fact {name} of {value[:20]!r} {number}", data
    for text in ("\ud800", "\0" * 9000, "\udfff" * 9000, "\ufffe"):
        facts = {**sound, "prompt": text, "id": text, "model": text}
        yield f"texts of {text[:1]!r}", encode(noise(24, 18), Output("webp"), facts)
    bad = "[" * 200_000
    for name, value in (("prompt", bad), ("prompt", "1"), ("prompt", "NaN"), ("escaped", bad)):
        body = f"<s:escaped>prompt</s:escaped><s:{name}>{value}</s:{name}>"
        about = f"<r:RDF xmlns:r='{_RDF}' xmlns:s='{_OURS}'><r:Description>{body}"
        packet = f"{about}</r:Description></r:RDF>".encode()
        yield f"escaped {name} of {value[:5]}", _with_xmp("WEBP", packet)


def _extended() -> Named:
    facts = {"prompt": "x" * 150_000}
    whole = encode(noise(24, 18), Output("jpeg"), facts)
    head = b"http://ns.adobe.com/xmp/extension/\0"
    piece = _segment(0xE1, head + b"A" * 40 + bytes(65_000))
    yield "ten thousand pieces", _behind_start(whole, _segment(0xE1, head + b"A" * 40) * 10_000)
    yield "megabytes of pieces", _behind_start(whole, piece * 200)
    long = {"prompt": "x" * 3 * MIB}
    yield "a long extension", encode(noise(24, 18), Output("jpeg"), long)


def _exif() -> Named:
    """EXIF whose entries all name the same megabytes, that go in circles, that end early."""
    for order in ("<", ">"):
        mark = b"II*\0" if order == "<" else b"MM\0*"
        for count, size in ((60_000, 700_000), (65_535, 8), (400, 60_000), (5000, 2**31)):
            entry = struct.Struct(f"{order}HHII")
            entries = b"".join(entry.pack(tag, 7, size, 8) for tag in range(count))
            body = mark + struct.pack(f"{order}IH", 8, count) + entries + bytes(4)
            yield from _exif_in(f"{order}{count} of {size}", body + bytes(min(size, MIB)))
        circle = struct.pack(f"{order}HHHIII", 1, 0x8769, 4, 1, 8, 8)
        yield from _exif_in(f"{order} circle", mark + struct.pack(f"{order}I", 8) + circle)
        yield from _exif_in(f"{order} far", mark + struct.pack(f"{order}I", 2**32 - 1))
    yield from _exif_in("zeros", bytes(MIB))
    yield from _exif_in("its name again and again", b"Exif\0\0" * 150_000)


def _exif_in(name: str, tiff: bytes) -> Named:
    yield f"exif {name} in PNG", _png((b"eXIf", tiff))
    parts = [tiff[start : start + 65_000] for start in range(0, len(tiff), 65_000)]
    jpeg = as_file(noise(24, 18), "JPEG")
    segments = b"".join(_segment(0xE1, b"Exif\0\0" + part) for part in parts)
    yield f"exif {name} in JPEG", _behind_start(jpeg, segments)
    yield f"exif {name} in WEBP", as_file(noise(24, 18), "WEBP", exif=tiff)
    sound = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
    avif = as_file(noise(24, 18), "AVIF", exif=sound + bytes(max(0, len(tiff) - len(sound))))
    yield f"exif {name} in AVIF", avif.replace(sound, (tiff + sound)[: len(sound)])


def _profiles() -> Named:
    head = bytearray(128)
    head[12:24], head[36:40] = b"mntrRGB XYZ ", b"acsp"
    for count, size in ((2**32 - 1, 0), (100, 2**32 - 1), (100_000, 12), (100, 900_000)):
        tags = b"".join(struct.pack(">4sII", b"A2B0", 128, size) for _ in range(min(count, 70_000)))
        body = bytes(head[4:]) + struct.pack(">I", count) + tags + bytes(MIB)
        profile = struct.pack(">I", len(body) + 4) + body
        for kind in ("PNG", "JPEG", "WEBP", "AVIF"):
            yield (
                f"profile of {count} tags of {size} in {kind}",
                as_file(noise(24, 18), kind, icc_profile=profile),
            )
    part = b"ICC_PROFILE\0\1\xff" + bytes(60_000)
    yield (
        "parts of a profile",
        _behind_start(as_file(noise(24, 18), "JPEG"), _segment(0xE2, part) * 200),
    )


def _photoshop() -> Named:
    """IPTC's own records lie in Photoshop's resources."""
    plain = as_file(noise(24, 18), "JPEG")
    start = b"Photoshop 3.0\0"
    for name, body in (
        ("empty resources", b"8BIM\4\4\0\0\0\0\0\0" * 5000),
        ("a resource of gigabytes", b"8BIM\4\4\0\0\xff\xff\xff\xff"),
        ("a resource that goes back", b"8BIM\4\4\xff\0" * 8000),
        ("records", b"8BIM\4\4\0\0\0\0\xfa\0" + b"\x1c\2\5\0\0" * 12_800),
        ("a resolution", b"8BIM\3\xed\0\0\0\0\0\2\0\0"),
    ):
        yield f"iptc: {name}", _behind_start(plain, _segment(0xED, start + body) * 100)


def _texts() -> Named:
    bomb = zlib.compress(bytes(80 * MIB), 9)
    almost = zlib.compress(bytes(MIB - 100), 9)
    for kind, start in ((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")):
        name = kind.decode()
        yield f"{name} bomb", _png((kind, start + bomb))
        yield f"{name} again and again", _png(*[(kind, start + almost)] * 300)
        yield f"{name} without an end", _png((kind, start.rstrip(b"\0")), (kind, b""))
        yield f"{name} of megabytes", _png((kind, b"a" * 5 * MIB))
    xmp_start = b"XML:com.adobe.xmp\0\1\0\0\0"
    yield "xmp bomb", _png((b"iTXt", xmp_start + bomb))
    yield "xmp, not packed", _png((b"iTXt", xmp_start + b"no zlib"))
    yield "xmp again and again", _png(*[(b"iTXt", xmp_start + almost)] * 300)
    yield "xmp of names", _png((b"iTXt", xmp_start[:20] + b"\0" * 5 * MIB))


def _many() -> Named:
    """Files of as many parts as one likes: 20 MB are taken."""
    jpeg, webp, avif = (as_file(noise(24, 18), kind) for kind in ("JPEG", "WEBP", "AVIF"))
    for count in (4000, 60_000, 1_500_000):
        yield f"{count} chunks in PNG", _png(many=_chunk(b"abCd", b"") * count)
        yield f"{count} chunks of credentials in PNG", _png(many=_chunk(b"caBX", b"") * count)
        yield f"{count} texts in PNG", _png(many=_chunk(b"tEXt", b"a\0b") * count)
        for name, part in (
            ("segments", b"\xff\xe5\0\2"),
            ("comments", b"\xff\xfe\0\2"),
            ("fills", b"\xff" * 12),
            ("credentials", _segment(0xEB, b"JP\0\1\0\0\0\1")),
        ):
            yield f"{count} {name} in JPEG", _behind_start(jpeg, part * count)
        for kind in (b"abcd", b"C2PA", b"EXIF", b"XMP "):
            chunks = (kind + bytes(4)) * count
            size = struct.pack("<I", len(webp) - 8 + len(chunks))
            yield f"{count} {kind!r} in WEBP", webp[:4] + size + webp[8:] + chunks
        free = _JUMB.pack(8, b"free") * count
        inside = _JUMB.pack(8, b"trak") * count
        yield f"{count} boxes in AVIF", avif + free
        yield f"{count} boxes before the rest in AVIF", avif[:32] + free + avif[32:]
        yield f"{count} boxes inside in AVIF", avif + _JUMB.pack(8 + len(inside), b"moov") + inside
        depth = count // 100
        nested = b"".join(_JUMB.pack(8 * (depth - i), b"moov") for i in range(depth))
        yield f"{depth} boxes inside each other in AVIF", avif + nested


def _credentials(signed: dict[str, bytes]) -> Named:
    """Signed files with parts put in, and boxes of credentials that nobody signs."""
    png, signed_jpeg, webp, avif = (signed[name] for name in ("png", "jpeg", "webp", "avif"))
    for count in (900, 4000, 60_000):
        yield f"signed, {count} chunks", png[:-12] + _chunk(b"abCd", b"") * count + png[-12:]
        yield f"signed, {count} segments", _behind_start(signed_jpeg, b"\xff\xe5\0\2" * count)
        yield f"signed, {count} boxes", avif + _JUMB.pack(8, b"free") * count
        inside = _JUMB.pack(8, b"trak") * count
        yield f"signed, {count} boxes inside", avif + _JUMB.pack(8 + len(inside), b"moov") + inside
        longer = struct.pack("<I", len(webp) - 8 + 8 * count)
        yield f"signed, {count} webp", webp[:4] + longer + webp[8:] + b"abcd\0\0\0\0" * count
    for name, content in _claims():
        yield f"credentials: {name} in PNG", _png((b"caBX", content))
        part = b"JP\0\1\0\0\0\1" + content[:60_000]
        jpeg = as_file(noise(24, 18), "JPEG")
        yield f"credentials: {name} in JPEG", _behind_start(jpeg, _segment(0xEB, part))
        whole = as_file(noise(24, 18), "WEBP")
        chunk = b"C2PA" + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        size = struct.pack("<I", len(whole) - 8 + len(chunk))
        yield f"credentials: {name} in WEBP", whole[:4] + size + whole[8:] + chunk
        uuid = (
            bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(4) + b"manifest\0" + bytes(8)
        )
        box = _JUMB.pack(8 + len(uuid) + len(content), b"uuid") + uuid + content
        yield f"credentials: {name} in AVIF", as_file(noise(24, 18), "AVIF") + box


def _claims() -> Iterator[tuple[str, bytes]]:
    kinds = (b"c2pa", b"c2ma", b"c2cl", b"c2as", b"cbor")
    store, manifest, claim, list_of, cbor = (partial(_superbox, kind) for kind in kinds)
    for size in (1000, 200_000, 6 * MIB):
        deep, wide = b"\x81" * size + b"\1", b"\x9a" + struct.pack(">I", size) + b"\1" * size
        for name, content in (("deep", deep), ("wide", wide), ("text", b"\x7a" + b"\xff" * 4)):
            body = _box(b"cbor", content)
            said = list_of(b"c2pa.assertions", cbor(b"a.b", body))
            yield (
                f"{name} {size}",
                store(b"c2pa", manifest(b"urn:x", said + claim(b"c2pa.claim", body))),
            )
        yield f"many {size}", store(b"c2pa", manifest(b"urn:x", b"") * (size // 50))
        head = _box(b"jumd", b"c2pa" + _UUID + b"\3c2pa\0")
        step, count = 8 + len(head), size // (8 + len(head))
        boxes = (_JUMB.pack(step * (count - i), b"jumb") + head for i in range(count))
        yield f"nested {size}", b"".join(boxes)
    yield "a box of gigabytes", _JUMB.pack(2**32 - 1, b"jumb") + bytes(60)
    yield "a box of nothing", bytes(60)


_UUID = bytes.fromhex("00110010800000AA00389B71")


def _superbox(kind: bytes, label: bytes, content: bytes) -> bytes:
    return _box(b"jumb", _box(b"jumd", kind + _UUID + b"\3" + label + b"\0") + content)


def _box(kind: bytes, content: bytes) -> bytes:
    return _JUMB.pack(8 + len(content), kind) + content


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(*chunks: tuple[bytes, bytes], many: bytes = b"") -> bytes:
    """A good PNG with chunks between its header and its pixels."""
    whole = as_file(noise(24, 18), "PNG")
    return whole[:33] + b"".join(_chunk(*one) for one in chunks) + many + whole[33:]


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def _behind_start(jpeg: bytes, segments: bytes) -> bytes:
    return jpeg[:2] + segments + jpeg[2:]
