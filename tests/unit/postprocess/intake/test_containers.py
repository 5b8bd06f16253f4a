"""Files as viewers take them: what is not needed to show a picture cannot cost it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from deployments.errors import UnsupportedFile
from deployments.postprocess import containers
from deployments.postprocess.intake import jpeg
from deployments.postprocess.intake.decoding import Picture, decode
from deployments.postprocess.intake.limits import IntakeLimits
from tests.unit.postprocess.colour_files import chunk, patches, with_nclx
from tests.unit.postprocess.colour_files import png as png_of
from tests.unit.postprocess.pictures import as_file, image_file, noise

LIMITS = IntakeLimits(max_bytes=20_000_000, max_pixels=25_000_000)
FORMATS = {"PNG": {}, "JPEG": {"quality": 95}, "WEBP": {"lossless": True}, "AVIF": {"quality": 95}}
TALL = np.vstack([noise(40, 60), np.full((20, 40, 3), 255, np.uint8)])  # 40 x 80, white below
END = len(chunk(b"IEND", b""))


def take(data: bytes) -> Picture:
    return decode(data, "image", LIMITS, over_white=False)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(take(data).image).astype(int)


def exif(value: int, order: str = ">", kind: int = 3) -> bytes:
    mark = b"MM\0*" if order == ">" else b"II*\0"
    entry = struct.pack(f"{order}HHIHH", 0x0112, kind, 1, value, 0)
    return b"Exif\0\0" + mark + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


def packed(samples: np.ndarray, depth: int) -> bytes:
    """A grey PNG of so many bits a sample, its samples uint16 (H, W)."""
    height, width = samples.shape
    if depth == 16:
        rows = samples.astype(">u2").view(np.uint8)
    else:
        bits = (samples[..., None] >> np.arange(depth)[::-1]) & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return (
        containers.png.MAGIC + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def after_header(file: bytes, *chunks: bytes) -> bytes:
    return file[:33] + b"".join(chunks) + file[33:]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_is_that_sample_alone(depth: int) -> None:
    top = (1 << depth) - 1
    row = np.arange(64) % (top + 1) if depth < 16 else np.arange(64) * 257
    samples, clear = row.astype(np.uint16)[None].repeat(8, 0), int(row[9])
    if depth == 16:
        samples[0] = clear + 1  # of the same eight upper bits
    file = after_header(packed(samples, depth), chunk(b"tRNS", struct.pack(">H", clear)))
    picture = take(file)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha == 0, samples == clear)
    right = np.round(samples / top * 255)
    assert np.abs(np.asarray(picture.image)[..., 0] - right).max() <= 0.5


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_transparent_colour_is_that_one_alone(depth: type) -> None:
    values = patches(3).astype(depth) * (257 if depth is np.uint16 else 1)
    clear = values[40, 40].copy()
    values[0, 0] = clear + np.array([0, 0, 1], depth)
    key = struct.pack(">3H", *clear.tolist())
    picture = take(png_of(values, (b"tRNS", key)))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha == 0, (values == clear).all(axis=-1))


@pytest.mark.parametrize("clear", [0, bytes([0, 128, 255, 255])])
def test_a_palettes_transparency_is_kept(clear: int | bytes) -> None:
    image = Image.fromarray(patches(3)).quantize(4)
    file = image_file(image, transparency=clear)
    right = np.asarray(Image.open(io.BytesIO(file)).convert("RGBA"))
    picture = take(file)
    assert picture.alpha is not None
    assert np.array_equal(np.dstack([np.asarray(picture.image), picture.alpha]), right)


def test_a_transparency_that_is_cut_short_is_none() -> None:
    assert take(png_of(patches(3), (b"tRNS", b"\0"))).alpha is None


JUNK = {
    "no tiff": b"Exif\0\0\0\x08\0\x02\x01\x12\0\x03",
    "beyond its end": b"Exif\0\0MM\0*\xff\xff\xff\xff",
    "more entries than bytes": b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01",
    "of another type": exif(6, kind=4),
    "nine": exif(9),
    "none": exif(0),
    "at random": b"Exif\0\0" + np.random.default_rng(1).bytes(3000),
    "empty": b"Exif\0\0",
}


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("kind", FORMATS)
def test_junk_exif_costs_nothing(kind: str, junk: str) -> None:
    image = Image.fromarray(TALL)
    bare = image_file(image, kind, **FORMATS[kind])
    if kind == "AVIF":  # Pillow writes none that it cannot read
        holder = image_file(image, kind, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0" + bytes(4000))
        at = holder.rindex(b"MM\0*\0\0\0\x08")
        body = JUNK[junk][6:]
        data = holder[:at] + body + holder[at + len(body) :]
        bare = image_file(image, kind)
    else:
        data = image_file(image, kind, exif=JUNK[junk], **FORMATS[kind])
    assert np.array_equal(pixels(data), pixels(bare))


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", FORMATS)
def test_the_camera_is_turned_as_exif_says(kind: str, order: str, value: int) -> None:
    image = Image.fromarray(TALL)
    data = image_file(image, kind, exif=exif(value, order), **FORMATS[kind])
    bare = pixels(image_file(image, kind, **FORMATS[kind]))
    turns = (None, None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE")
    name = (*turns, "ROTATE_270", "TRANSVERSE", "ROTATE_90")[value]
    right = Image.fromarray(bare.astype(np.uint8))
    right = right if name is None else right.transpose(Image.Transpose[name])
    assert np.array_equal(pixels(data), np.asarray(right))


def test_viewers_do_not_turn_by_xmp_nor_by_a_raw_profile() -> None:
    image = Image.fromarray(TALL)
    for spelled in (b'tiff:Orientation="6"', b"<tiff:Orientation>6</tiff:Orientation>"):
        xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + spelled + b"</x:xmpmeta>"
        for kind, options in FORMATS.items():
            assert pixels(image_file(image, kind, xmp=xmp, **options)).shape == (80, 40, 3)
        itxt = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
        assert pixels(png_of(TALL, (b"iTXt", itxt))).shape == (80, 40, 3)
    raw = exif(6).hex().encode()
    text = b"Raw profile type exif\0\nexif\n%8d\n%s\n" % (len(raw) // 2, raw)
    assert pixels(png_of(TALL, (b"tEXt", text))).shape == (80, 40, 3)


FAULTY = {
    "tEXt": b"Comment\0hello",
    "zTXt": b"Comment\0\0not packed",
    "iTXt": b"Comment\0\1\0\0\0not packed",
    "tIME": b"\0",
    "pHYs": b"\0\1",
    "gAMA": struct.pack(">I", 100_000),
    "iCCP": b"x\0\0",
    "eXIf": exif(6)[6:],
    "tRNS": struct.pack(">3H", *TALL[0, 0].tolist()),
    "acTL": b"\0",
    "fcTL": bytes(26),
    "prVt": b"private",
}


@pytest.mark.parametrize("kind", FAULTY)
def test_a_wrong_sum_costs_its_chunk_and_not_the_picture(kind: str) -> None:
    whole = chunk(kind.encode(), FAULTY[kind])
    broken = whole[:-1] + bytes([whole[-1] ^ 1])
    for data in (after_header(png_of(TALL), broken), png_of(TALL)[:-END] + broken):
        picture = take(data)
        assert np.array_equal(np.asarray(picture.image), TALL)
        assert picture.alpha is None


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "tIME", "pHYs", "acTL", "fcTL", "prVt"])
def test_what_a_chunk_tells_beside_the_picture_is_not_read(kind: str) -> None:
    data = after_header(png_of(TALL), chunk(kind.encode(), FAULTY[kind]))
    assert np.array_equal(pixels(data), TALL)


def test_a_text_of_many_megabytes_costs_nothing() -> None:
    bomb = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    assert np.array_equal(pixels(after_header(png_of(TALL), chunk(b"zTXt", bomb))), TALL)


@pytest.mark.parametrize("lost", [1, 4, END, END + 2, END + 4])
def test_a_png_needs_its_pixels_and_no_end(lost: int) -> None:
    assert np.array_equal(pixels(png_of(TALL)[:-lost]), TALL)


@pytest.mark.parametrize("lost", [END + 40, 400])
def test_a_png_without_all_its_pixels_is_refused(lost: int) -> None:
    data = png_of(TALL)
    assert len(data) > lost + 100
    with pytest.raises(UnsupportedFile):
        take(data[:-lost])


def test_a_wrong_sum_where_the_pixels_are_is_refused() -> None:
    data = bytearray(png_of(TALL))
    data[data.index(b"IDAT") + 60] ^= 1
    with pytest.raises(UnsupportedFile):
        take(bytes(data))


def test_a_png_of_countless_chunks_is_refused() -> None:
    with pytest.raises(UnsupportedFile):
        take(after_header(png_of(TALL), chunk(b"tEXt", b"a\0b") * 70_000))


WAYS = [{}, {"progressive": True}, {"subsampling": 0, "quality": 100}, {"restart_marker_rows": 1}]


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_needs_its_pixels_and_no_end_marker(options: dict[str, int], mode: str) -> None:
    image = Image.fromarray(TALL).convert(mode)
    data = image_file(image, "JPEG", **options)
    assert data.endswith(jpeg.END)
    for without in (data[:-2], data[:-1], data[:-2] + b"\xff\xff"):
        assert np.array_equal(pixels(without), pixels(data))


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.97])
def test_a_jpeg_without_all_its_pixels_is_refused(options: dict[str, int], share: float) -> None:
    data = image_file(Image.fromarray(noise(128, 128)), "JPEG", **options)
    head = data.index(b"\xff\xda")
    cut = head + int((len(data) - head) * share)
    for end in (b"", b"\xff"):
        with pytest.raises(UnsupportedFile):
            take(data[:cut] + end)


def test_a_jpegs_other_segments_are_not_read() -> None:
    data = image_file(Image.fromarray(TALL), "JPEG", quality=95)
    right = pixels(data)
    segments = [
        (0xE1, b"Exif\0\0junk"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x"),
        (0xE2, b"MPF\0II*\0\xff\xff\xff\xff"),
        (0xED, b"Photoshop 3.0\x008BIM\xff"),
        (0xFE, b"comment"),
        (0xEB, b""),
    ]
    more = b"".join(
        bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2) + body for marker, body in segments
    )
    assert np.array_equal(pixels(data[:2] + more + data[2:]), right)
    assert np.array_equal(pixels(data[:2] + b"\xff\xff\xff" + more[1:] + data[2:]), right)
    assert np.array_equal(pixels(data + b"a camera's own trailer"), right)


def test_a_jpeg_of_countless_scans_or_segments_is_refused() -> None:
    data = image_file(Image.fromarray(TALL), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    with pytest.raises(UnsupportedFile):
        take(data[:-2] + data[start:-2] * 200 + jpeg.END)
    with pytest.raises(UnsupportedFile):
        take(data[:2] + b"\xff\xfe\0\2" * 20_000 + data[2:])


@pytest.mark.parametrize("side", [2, 7, 8])
def test_boxes_that_lie_about_themselves_cost_no_time(side: int) -> None:
    data = as_file(noise(64, 48), "AVIF")
    at = data.index(b"meta") - 4
    lying = data[:at] + side.to_bytes(4) + data[at + 4 :]
    with pytest.raises(UnsupportedFile):
        take(lying)
    box = struct.pack(">I4s", 8, b"free")
    assert np.array_equal(pixels(data + box * 2_000), pixels(data))
    with pytest.raises(UnsupportedFile):
        take(data + box * 200_000)
    assert take(with_nclx(data, 1, 250)).warnings
