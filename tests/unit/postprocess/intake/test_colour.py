"""Pictures of other colour spaces become sRGB; ImageCms and floating point arithmetic judge."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from deployments.postprocess.intake.decoding import Picture, decode, decode_mask
from deployments.postprocess.intake.limits import IntakeLimits
from tests.unit.postprocess import colour_files as files
from tests.unit.postprocess.pictures import image_file

LIMITS = IntakeLimits(max_bytes=20_000_000, max_pixels=25_000_000)
OPTIONS = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
}
ADOBE = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def take(data: bytes) -> Picture:
    return decode(data, "image", LIMITS)


def off(picture: Picture, right: np.ndarray) -> int:
    pixels = np.asarray(picture.image)
    return int(np.abs(files.middles(pixels) - files.middles(right)).max())


@pytest.mark.parametrize("name", files.PROFILES)
@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("channels", [3, 4], ids=["opaque", "alpha"])
def test_a_profile_of_rgb_is_followed(name: str, kind: str, channels: int) -> None:
    if (kind, channels) == ("JPEG", 4):
        pytest.skip("JPEG has no alpha")
    pixels = files.patches(channels)
    if channels == 4:
        pixels[:48, :, 3], pixels[48:, :, 3] = 0, 255
    icc = files.PROFILES[name]
    data = image_file(Image.fromarray(pixels), kind, icc_profile=icc, **OPTIONS[kind])
    stored = Image.open(io.BytesIO(data)).convert("RGB")
    picture = decode(data, "image", LIMITS, over_white=False)
    assert off(picture, files.judged(stored, icc)) <= 1
    assert picture.warnings == ()
    if channels == 4:
        assert picture.alpha is not None
        assert set(np.unique(files.middles(picture.alpha))) == {0, 255}


@pytest.mark.parametrize("name", files.PROFILES)
def test_imagecms_itself_is_right(name: str) -> None:
    colorants, gamma = {
        "sRGB": ("sRGB", None),
        "Display P3": ("P3", None),
        "Adobe RGB": ("Adobe", 2.19921875),
        "ProPhoto": ("ProPhoto", 1.8),
        "linear": ("sRGB", 1.0),
        "linear Rec. 2020": ("Rec2020", 1.0),
    }[name]
    pixels = files.patches(3)
    judged = files.judged(Image.fromarray(pixels), files.PROFILES[name])
    assert np.abs(judged - files.by_arithmetic(pixels / 255, colorants, gamma)).max() < 2


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
@pytest.mark.parametrize("kind", OPTIONS)
def test_a_profile_of_grey_is_followed(gamma: float, kind: str) -> None:
    icc = files.grey_profile(gamma)
    grey = Image.fromarray(files.patches(1)[..., 0])
    if kind in ("WEBP", "AVIF"):  # which have no grey: it is RGB's
        icc = files.rgb_profile("sRGB", gamma)
    data = image_file(grey, kind, icc_profile=icc, **OPTIONS[kind])
    stored = Image.open(io.BytesIO(data))
    stored = stored.convert("L" if kind in ("PNG", "JPEG") else "RGB")
    assert off(take(data), files.judged(stored, icc)) <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P"])
def test_a_profile_of_rgb_is_followed_in_every_mode(mode: str) -> None:
    image = Image.fromarray(files.patches(3))
    image = image.quantize(64) if mode == "P" else image.convert(mode)
    icc = files.PROFILES["Adobe RGB"]
    data = image_file(image, icc_profile=icc)
    judged = files.judged(image.convert("L" if mode == "1" else mode).convert("RGB"), icc)
    assert np.abs(np.asarray(take(data).image).astype(int) - judged).max() <= 1


def test_inks_are_shown_by_their_profile() -> None:
    inks = Image.fromarray(files.patches(4), "CMYK")
    icc = files.cmyk_profile()
    data = image_file(inks, "JPEG", icc_profile=icc, quality=95, subsampling=0)
    picture = take(data)
    assert off(picture, files.judged(Image.open(io.BytesIO(data)), icc)) <= 1
    assert off(picture, np.asarray(inks.convert("RGB"))) > 20  # not by plain arithmetic
    assert picture.warnings == ()


@pytest.mark.parametrize(
    ("name", "colorants", "gamma"),
    [
        ("Display P3", "P3", None),
        ("Adobe RGB", "Adobe", 2.19921875),
        ("ProPhoto", "ProPhoto", 1.8),
        ("linear", "sRGB", 1.0),
        ("linear Rec. 2020", "Rec2020", 1.0),
    ],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_keep_their_shadows(
    name: str, colorants: str, gamma: float | None, channels: int
) -> None:
    """Linear light spends eight bits' first level on thirteen of sRGB's."""
    rng = np.random.default_rng(1)
    pixels = (rng.random((64, 64, channels)) ** 4 * 65535).astype(np.uint16)
    if channels == 4:
        pixels[..., 3] = 65535
    stored = pixels[..., 0] if channels == 1 else pixels
    picture = take(files.png(stored, files.iccp(files.PROFILES[name])))
    rgb = pixels.repeat(3, 2) if channels == 1 else pixels[..., :3]
    right = files.by_arithmetic(rgb / 65535, colorants, gamma)
    assert np.abs(np.asarray(picture.image) - right).max() < 2


def test_sixteen_bits_of_grey_keep_their_shadows() -> None:
    ramp = np.linspace(0, 65535, 4096, dtype=np.uint16)[None]
    picture = take(files.png(ramp, files.iccp(files.grey_profile(1.0))))
    right = files.by_arithmetic(ramp[..., None].repeat(3, 2) / 65535, "sRGB", 1.0)
    assert np.abs(np.asarray(picture.image) - right).max() < 2


@pytest.mark.parametrize(
    ("chunk", "colorants", "gamma"),
    [
        (files.cicp(12, 13), "P3", None),
        (files.cicp(9, 8), "Rec2020", 1.0),
        (files.cicp(9, 14), "Rec2020", None),
        (files.cicp(1, 8), "sRGB", 1.0),
        (files.cicp(1, 4), "sRGB", 2.2),
        (files.gama(1.0), "sRGB", 1.0),
        (files.gama(1 / 1.8), "sRGB", 1.8),
    ],
)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
def test_a_png_may_name_its_space(
    chunk: tuple[bytes, bytes], colorants: str, gamma: float | None, depth: type, grey: bool
) -> None:
    top = np.iinfo(depth).max
    pixels = (files.patches(3) / 255 * top).astype(depth)
    if grey:
        pixels = pixels[..., 0]
    picture = take(files.png(pixels, chunk))
    rgb = pixels[..., None].repeat(3, 2) if grey else pixels
    assert (
        np.abs(np.asarray(picture.image) - files.by_arithmetic(rgb / top, colorants, gamma)).max()
        < 2
    )
    assert picture.warnings == ()


def test_a_gamma_may_come_with_primaries() -> None:
    points = b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in ADOBE))
    pixels = files.patches(3)
    picture = take(files.png(pixels, files.gama(1 / 2.2), points))
    right = files.by_arithmetic(pixels / 255, "Adobe", 2.2)
    assert np.abs(np.asarray(picture.image) - right).max() < 2


@pytest.mark.parametrize(
    "chunks",
    [
        (files.gama(1 / 2.2),),
        (files.gama(1.0), (b"sRGB", b"\0")),
        (files.cicp(1, 13), files.gama(1.0)),
        (files.cicp(2, 2),),
        (files.iccp(files.PROFILES["sRGB"]), files.gama(1.0)),
        (files.cicp(1, 13), files.iccp(files.PROFILES["ProPhoto"])),
    ],
)
def test_what_stands_first_counts_and_srgb_stays_as_it_is(
    chunks: tuple[tuple[bytes, bytes], ...],
) -> None:
    pixels = files.patches(3)
    picture = take(files.png(pixels, *chunks))
    assert np.array_equal(np.asarray(picture.image), pixels)
    assert picture.warnings == ()


@pytest.mark.parametrize(
    ("numbers", "colorants", "gamma"),
    [((12, 13), "P3", None), ((9, 13), "Rec2020", None), ((1, 8), "sRGB", 1.0)],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_an_avif_may_name_its_space(
    numbers: tuple[int, int], colorants: str, gamma: float | None, mode: str
) -> None:
    image = Image.fromarray(files.patches(3)).convert(mode)
    data = files.with_nclx(image_file(image, "AVIF", **OPTIONS["AVIF"]), *numbers)
    stored = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    right = files.by_arithmetic(stored / 255, colorants, gamma)
    assert np.abs(np.asarray(take(data).image) - right).max() < 2


def test_a_profile_counts_more_than_an_avifs_numbers() -> None:
    icc = files.PROFILES["Adobe RGB"]
    image = Image.fromarray(files.patches(3))
    data = files.with_nclx(image_file(image, "AVIF", icc_profile=icc, **OPTIONS["AVIF"]), 12, 13)
    stored = Image.open(io.BytesIO(data)).convert("RGB")
    assert off(take(data), files.judged(stored, icc)) <= 1


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_cut_at_white_paper_and_says_so(transfer: int) -> None:
    white = {16: 0.58, 18: 0.75}[transfer]  # ITU-R BT.2408, table 1
    levels = np.array([0, white / 2, white, 1.0])
    pixels = np.round(levels * 65535).astype(np.uint16)[None, :, None].repeat(3, 2)
    picture = take(files.png(pixels, files.cicp(9, transfer)))
    shown = np.asarray(picture.image)[0, :, 1]
    assert shown[0] == 0
    assert 20 < shown[1] < 150
    assert shown[2] >= 250
    assert shown[3] == 255
    assert "cut" in picture.warnings[0]


BROKEN = {
    "no profile": b"no profile at all",
    "a header alone": files.PROFILES["Display P3"][:128],
    "half": files.PROFILES["Display P3"][:300],
    "nothing": b"",
    "of inks": files.cmyk_profile(),
    "of grey": files.grey_profile(1.0),
    "without curves": files.profile("RGB ", {}),
    "of bytes at random": np.random.default_rng(0).bytes(4000),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("kind", OPTIONS)
def test_a_junk_profile_costs_a_warning_and_no_more(name: str, kind: str) -> None:
    image = Image.fromarray(files.patches(3))
    icc = BROKEN[name]
    data = image_file(image, kind, icc_profile=icc or None, **OPTIONS[kind])
    if kind == "PNG":
        data = files.png(np.asarray(image), files.iccp(icc))
    picture = take(data)
    assert off(picture, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))) == 0
    if icc or kind == "PNG":
        assert picture.warnings == (
            "image: its colour profile cannot be read: its colours are taken as sRGB",
        )


@pytest.mark.parametrize(
    "chunk",
    [
        (b"iCCP", b"x"),
        (b"iCCP", b"x\0\0not packed"),
        files.cicp(77, 13),
        files.cicp(1, 99),
        files.gama(0),
        files.gama(20_000),
    ],
)
def test_a_space_that_no_one_knows_costs_a_warning(chunk: tuple[bytes, bytes]) -> None:
    pixels = files.patches(3)
    picture = take(files.png(pixels, chunk))
    assert np.array_equal(np.asarray(picture.image), pixels)
    assert picture.warnings


def test_a_jpegs_profile_in_parts_is_joined_and_a_lost_part_is_told() -> None:
    icc = files.PROFILES["Adobe RGB"] + bytes(140_000)
    icc = len(icc).to_bytes(4) + icc[4:]
    image = Image.fromarray(files.patches(3))
    data = image_file(image, "JPEG", icc_profile=icc, **OPTIONS["JPEG"])
    stored = Image.open(io.BytesIO(data)).convert("RGB")
    assert off(take(data), files.judged(stored, icc)) <= 1
    at = data.index(b"ICC_PROFILE\0\2")
    lost = data[:at] + b"ICC_PROFILX" + data[at + 11 :]
    assert off(take(lost), np.asarray(stored)) == 0
    assert take(lost).warnings


def test_a_masks_levels_are_no_colours() -> None:
    levels = np.linspace(0, 255, 64).astype(np.uint8)[None].repeat(8, 0)
    data = image_file(Image.fromarray(levels), icc_profile=files.grey_profile(1.0))
    assert np.array_equal(np.asarray(decode_mask(data, "mask", LIMITS).image)[..., 0], levels)
