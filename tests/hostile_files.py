"""Files that an upload may be, made on the spot: odd, damaged, lying, hostile ones, and bombs."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

from tests.unit.postprocess.pictures import as_file, image_file, noise

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF")
OTHERS = ("GIF", "TIFF", "BMP", "PPM", "ICO", "TGA", "PCX", "EPS", "PDF", "JPEG2000", "DDS", "SGI")
MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK", "YCbCr", "F", "HSV", "LAB")
CUTS = (4, 11, 12, 20, 33, 60, 100, 200, -400, -60, -13, -8, -4, -1)
LARGEST = (5000, 5000)  # 25 million pixels: as many as are taken
Named = Iterator[tuple[str, bytes]]


def small_files(signed: dict[str, bytes]) -> dict[str, bytes]:
    """Several hundred files of some kilobytes, by names that say what they are.

    signed: files with content credentials by their format, to be damaged too.
    """
    made = {name: data for part in (
        _modes(), _cut(), _damaged(), _swapped(), _not_pictures(), _lying(), _sides(),
        _orientations(), _profiles(), _moving(), _polyglots(), _bombs(), _credentials(signed),
    ) for name, data in part}  # fmt: skip
    assert len(made) >= 500
    return made


def large_files() -> dict[str, bytes]:
    """The largest pictures that are taken, in every format, and such as are a little larger."""
    grey = Image.radial_gradient("L").resize(LARGEST)
    alpha = Image.merge("LA", (grey, grey)).convert("RGBA")
    deep = np.arange(LARGEST[0] * LARGEST[1], dtype=np.uint32).astype(np.uint16).reshape(LARGEST)
    turned = Image.Exif()
    turned[0x0112] = 6
    beyond = grey.resize((5001, 5000))
    return {
        "largest png": image_file(alpha, "PNG", compress_level=1, exif=turned),
        "largest palette": image_file(grey.convert("P"), "PNG", compress_level=1),
        "largest deep png": as_file(deep, "PNG", compress_level=1),
        "largest jpeg": image_file(grey.convert("CMYK"), "JPEG", exif=turned),
        "largest progressive": image_file(grey.convert("RGB"), "JPEG", progressive=True),
        "largest webp": image_file(alpha, "WEBP", method=0, exif=turned),
        "largest avif": image_file(alpha, "AVIF", speed=10),
        **{f"beyond {name}": image_file(beyond, name) for name in ("PNG", "JPEG")},
    }


def _sample(name: str) -> bytes:
    return as_file(noise(64, 48), name)


def _modes() -> Named:
    for name in (*FORMATS, *OTHERS):
        for mode in MODES:
            picture = Image.fromarray(noise(24, 18))
            if mode == "I;16":
                picture = Image.fromarray(np.arange(432, dtype=np.uint16).reshape(18, 24) * 150)
            try:
                picture = picture if mode == "I;16" else picture.convert(mode)
                yield f"{mode} in {name}", image_file(picture, name)
            except (OSError, ValueError, KeyError):
                continue  # this format has no such mode
    grey = noise(24, 18)[..., 0]
    yield "transparent grey", image_file(Image.fromarray(grey), "PNG", transparency=int(grey[0, 0]))
    yield (
        "transparent palette",
        image_file(Image.fromarray(noise(24, 18)).quantize(8), "PNG", transparency=b"\0\x80\xff"),
    )
    clear = Image.new("RGBA", (24, 18))
    yield "all transparent", image_file(clear, "PNG")
    yield "interlaced", _png([(24, 18, 8, 2, 0, 0, 1)], bytes(24 * 18 * 4))


def _cut() -> Named:
    for name in FORMATS:
        whole = _sample(name)
        for cut in CUTS:
            yield f"{name} cut at {cut}", whole[:cut]


def _damaged() -> Named:
    rng = random.Random(7)
    for name in FORMATS:
        whole = _sample(name)
        for turn in range(45):
            damaged = bytearray(whole)
            start = rng.choice((0, 0, len(whole) // 2))
            for _ in range(rng.choice((1, 2, 6, 20))):
                damaged[rng.randrange(start, min(len(whole), start + 300))] = rng.randrange(256)
            yield f"{name} damaged {turn}", bytes(damaged)


def _swapped() -> Named:
    """The head of one format before the body of another."""
    for name in FORMATS:
        for other in FORMATS:
            if name != other:
                yield f"{name} head, {other} body", _sample(name)[:16] + _sample(other)[16:]
                yield f"{name} magic, zeros from {other}", _sample(name)[:12] + bytes(200)


def _not_pictures() -> Named:
    for number, data in enumerate((
        b"", b"\0", b"\xff" * 1000, b"no picture at all", b"<html><script>alert(1)</script>",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', b"%PDF-1.7\n%\xff\xff",
        b"PK\x03\x04" + bytes(60), b"\x7fELF" + bytes(60), b"MZ" + bytes(60), b"GIF89a" + bytes(20),
        b"II*\0\x08\0\0\0\xff\xff", b"MM\0*" + b"\xff" * 40, b"%!PS-Adobe-3.0\nquit", b"BM" * 40,
        b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xd9", b"RIFF\xff\xff\xff\xffWEBP", b"\xff\xd8" * 200,
        b"RIFF\x04\0\0\0WEBPVP8X", b"\0\0\0\x20ftypavif" + bytes(40), b"\0\0\0\0ftypavis",
        b"\0\0\0\x18ftypheic" + bytes(60), b"\0\0\0\x0cjP  \r\n\x87\n", b"\x1f\x8b\x08" + bytes(40),
        "그림이 아닙니다".encode(), "<?xml version='1.0'?>".encode("utf-16"),
    )):  # fmt: skip
        yield f"no picture {number}", data


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(heads: list[tuple[int, ...]], pixels: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG with any number of headers, chunks before its pixels, and what pixels one likes."""
    return (
        b"\x89PNG\r\n\x1a\n"
        + b"".join(_chunk(b"IHDR", struct.pack(">IIBBBBB", *head)) for head in heads)
        + b"".join(_chunk(*one) for one in more)
        + _chunk(b"IDAT", zlib.compress(pixels, 9))
        + _chunk(b"IEND", b"")
    )


def _lying() -> Named:
    """Headers that say what is not so."""
    for width, height in ((0, 0), (0, 9), (2**31, 1), (2**32 - 1, 2**32 - 1), (5000, 5000), (9, 7)):
        for depth, colour in ((8, 2), (16, 6), (1, 3), (8, 5), (3, 0)):
            head = (width, height, depth, colour, 0, 0, 0)
            yield f"png of {width}x{height}, {depth}, {colour}", _png([head], bytes(200))
    yield "two headers", _png([(9, 7, 8, 2, 0, 0, 0), (4000, 4000, 8, 2, 0, 0, 0)], bytes(400))
    yield "no palette", _png([(9, 7, 8, 3, 0, 0, 0)], bytes(100))
    yield "no pixels", _png([(9, 7, 8, 2, 0, 0, 0)], b"")
    jpeg = bytearray(_sample("JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    for height, width in ((0, 0), (0, 64), (65535, 65535), (65535, 1), (4000, 6000)):
        jpeg[at : at + 4] = struct.pack(">HH", height, width)
        yield f"jpeg of {width}x{height}", bytes(jpeg)
    webp = bytearray(as_file(noise(64, 48), "WEBP", lossless=True))
    at = webp.index(b"VP8L") + 9
    for packed in (0, 0xFFFFFFFF, 0x0FFFFFFF, 0x12345678):
        webp[at : at + 4] = struct.pack("<I", packed)
        yield f"webp of {packed:x}", bytes(webp)
    avif = bytearray(_sample("AVIF"))
    at = avif.index(b"ispe") + 8
    for width, height in ((0, 0), (65535, 65535), (2**31, 2**31), (5000, 5000), (1, 1)):
        avif[at : at + 8] = struct.pack(">II", width, height)
        yield f"avif of {width}x{height}", bytes(avif)


def _sides() -> Named:
    for width, height in ((1, 1), (1, 2), (2, 1), (1, 16000), (16000, 1), (3, 4001), (8191, 3)):
        for name in FORMATS:
            yield (
                f"{name} of {width}x{height}",
                as_file(np.full((height, width, 3), 77, np.uint8), name),
            )


def _orientations() -> Named:
    for name in FORMATS:
        for value in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65535):
            exif = Image.Exif()
            exif[0x0112] = value
            yield f"{name} turned {value}", as_file(noise(40, 24), name, exif=exif)
        if name == "AVIF":
            continue  # its writer refuses what is no EXIF
        for number, bad in enumerate((b"", b"Exif\0\0", b"Exif\0\0II*\0" + b"\xff" * 90)):
            yield f"{name} with bad exif {number}", as_file(noise(40, 24), name, exif=bad)


def _profiles() -> Named:
    cmyk = Image.fromarray(noise(24, 18)).convert("CMYK")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for number, profile in enumerate((srgb, srgb[:200], b"\xff" * 300, b"x", bytes(128))):
        yield f"cmyk with profile {number}", image_file(cmyk, "JPEG", icc_profile=profile)
        for name in FORMATS:
            data = as_file(noise(24, 18), name, icc_profile=profile)
            yield f"{name} with profile {number}", data


def _moving() -> Named:
    frames = [Image.fromarray(noise(64, 48, seed)) for seed in range(12)]
    for name in ("PNG", "WEBP", "AVIF", "GIF"):
        whole = image_file(frames[0], name, save_all=True, append_images=frames[1:])
        yield f"moving {name}", whole
        yield f"moving {name} cut", whole[: len(whole) * 2 // 3]
    many = [Image.new("RGB", (900, 900), (n % 256, n // 256, 0)) for n in range(400)]
    yield "400 frames", image_file(many[0], "WEBP", save_all=True, append_images=many[1:])
    yield (
        "two pictures in one",
        image_file(frames[0], "MPO", save_all=True, append_images=frames[1:3]),
    )


def _polyglots() -> Named:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as entries:
        entries.writestr("a.html", "<script>alert(1)</script>")
    script = b"<script>alert(1)</script><?php system('id'); ?>"
    for name in FORMATS:
        whole = _sample(name)
        yield f"{name}, then a zip", whole + archive.getvalue()
        yield f"{name}, then html", whole + script
        yield f"pdf, then {name}", b"%PDF-1.7\n" + whole
        yield f"{name}, then another", whole + _sample("JPEG" if name == "PNG" else "PNG")
        yield f"{name} that says it is xmp", as_file(noise(24, 18), name, **_xmp(name, script))
    yield "jpeg with a comment", image_file(Image.fromarray(noise(24, 18)), "JPEG", comment=script)


def _xmp(name: str, packet: bytes) -> dict[str, bytes]:
    return {} if name == "PNG" else {"xmp": packet}


def _bombs() -> Named:
    head = [(64, 48, 8, 2, 0, 0, 0)]
    pixels = bytes(48 * (1 + 64 * 3))
    huge = zlib.compress(bytes(80 * 2**20), 9)
    for kind, start in ((b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")):
        yield f"{kind.decode()} bomb", _png(head, pixels, (kind, start + huge))
    yield "many texts", _png(head, pixels, *[(b"tEXt", b"a\0" + b"b" * 9000)] * 200)
    yield "many chunks", _png(head, pixels, *[(b"abCd", b"")] * 20_000)
    yield "bomb of 30000x30000", _png([(30_000, 30_000, 8, 2, 0, 0, 0)], bytes(2**20))
    yield "bomb of 100000x249", _png([(100_000, 249, 16, 6, 0, 0, 1)], bytes(2**20))
    yield "more pixels than said", _png(head, bytes(80 * 2**20))
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    xml = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><x>&l11;</x>'.encode()
    for name in ("JPEG", "WEBP", "AVIF"):
        yield f"laughing {name}", as_file(noise(24, 18), name, xmp=xml)
        deep = b"<a>" * 9_000
        yield f"nested {name}", as_file(noise(24, 18), name, xmp=deep)
    jpeg = image_file(Image.fromarray(noise(1500, 1500)), "JPEG", progressive=True)
    at = jpeg.rindex(b"\xff\xda")
    yield "a thousand scans", jpeg[:-2] + jpeg[at:-2][:400] * 1000 + b"\xff\xd9"


def _credentials(signed: dict[str, bytes]) -> Named:
    rng = random.Random(11)
    for name, whole in signed.items():
        kinds = (b"jumb", b"cbor", b"c2pa")
        marks = [n for n in range(len(whole) - 4) if whole[n : n + 4] in kinds]
        for turn in range(30):
            damaged = bytearray(whole)
            for _ in range(rng.choice((1, 3, 30))):
                near = min(rng.choice(marks) + rng.randrange(-8, 120), len(whole) - 1)
                damaged[near] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
            yield f"signed {name} damaged {turn}", bytes(damaged)
        yield f"signed {name} cut", whole[: marks[len(marks) // 2]]
