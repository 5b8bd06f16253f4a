"""Uploads: what is taken, what is refused, and how it is fitted."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from deployments.errors import InvalidValue, RequestError, TooLarge, UnsupportedFile
from deployments.handover import Given
from deployments.postprocess.intake.fit import fit_upload
from deployments.postprocess.intake.limits import IntakeLimits
from tests.unit.postprocess.pictures import as_file, disc, image_file, noise, plain

LIMITS = IntakeLimits(max_bytes=2_000_000, max_pixels=4_000_000)
LARGE = IntakeLimits(max_bytes=20_000_000, max_pixels=25_000_000)
SIZES = ((256, 256), (224, 288), (192, 336), (336, 192))


def take(
    image: bytes,
    mask: bytes | None = None,
    size: tuple[int, int] | None = (64, 64),
    fit: str = "crop",
    limits: IntakeLimits = LIMITS,
) -> Given:
    width, height = size or (None, None)
    return fit_upload(image, mask, width, height, fit, SIZES, limits)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_every_accepted_format_comes_out_as_upright_rgb(file_format: str) -> None:
    fitted = take(as_file(plain(64, 64, (200, 40, 90)), file_format))
    assert fitted.picture.shape == (64, 64, 3)
    assert fitted.picture.dtype == np.uint8
    assert np.abs(fitted.picture.astype(int) - (200, 40, 90)).max() <= 6
    assert fitted.mask is None


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"just words",
        as_file(plain(8, 8), "GIF"),
        as_file(plain(8, 8), "BMP"),
        as_file(plain(8, 8), "TIFF"),
    ],
)
def test_other_files_are_refused_naming_what_is_accepted(data: bytes) -> None:
    with pytest.raises(UnsupportedFile, match="PNG, JPEG, WebP or AVIF") as caught:
        take(data)
    assert caught.value.param == "image"


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_truncated_files_are_refused(file_format: str) -> None:
    whole = as_file(noise(128, 128), file_format)
    with pytest.raises(UnsupportedFile):
        take(whole[: len(whole) * 2 // 3])


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(UnsupportedFile, match="empty"):
        take(b"")


def test_bytes_are_bounded_before_anything_is_read() -> None:
    with pytest.raises(TooLarge, match="at most 10"):
        take(b"x" * 11, limits=IntakeLimits(max_bytes=10, max_pixels=100))


def png_declaring(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [2_001, 12_000, 60_000])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    with pytest.raises(TooLarge) as caught:
        take(png_declaring(side, side))
    assert caught.value.code == "too_many_pixels"


def test_exif_orientation_is_applied() -> None:
    picture = plain(80, 40, (0, 0, 255))
    picture[:, :40] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate clockwise to see it upright
    fitted = take(as_file(picture, "JPEG", quality=95, exif=exif), size=(40, 80))
    assert fitted.picture[10, 20, 0] > 200
    assert fitted.picture[70, 20, 2] > 200


def test_sixteen_bit_grey_keeps_its_tones() -> None:
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16)[None].repeat(64, 0)
    grey = take(image_file(Image.fromarray(ramp))).picture[32, :, 0].astype(int)
    assert np.abs(grey - np.linspace(0, 255, 64)).max() <= 2


def test_cmyk_goes_through_its_profile_and_palette_and_grey_become_rgb() -> None:
    cmyk = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    assert take(image_file(cmyk, "JPEG")).picture[5, 5, 0] > 200
    broken = take(image_file(cmyk, "JPEG", icc_profile=b"no profile at all"))
    assert broken.picture[5, 5, 0] > 200
    palette = Image.fromarray(disc(64, 64)).quantize(4)
    assert np.abs(take(image_file(palette)).picture[2, 2].astype(int) - (235, 240, 236)).max() < 12
    assert take(as_file(np.full((64, 64), 90, np.uint8))).picture[3, 3].tolist() == [90, 90, 90]


def test_an_rgb_profile_does_not_break_intake() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert take(as_file(plain(64, 64), icc_profile=profile)).picture.shape == (64, 64, 3)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(file_format: str) -> None:
    frames = [Image.fromarray(plain(64, 64, colour)) for colour in ((250, 0, 0), (0, 0, 250))]
    data = image_file(frames[0], file_format, save_all=True, append_images=frames[1:], duration=50)
    assert take(data).picture[30, 30, 0] > 200


def transparent_hole(width: int = 64, height: int = 64) -> np.ndarray:
    rgba = np.dstack([plain(width, height, (10, 20, 30)), np.full((height, width), 255, np.uint8)])
    rgba[: height // 2, :, 3] = 0
    return rgba


def test_a_transparent_picture_is_laid_on_white_and_is_its_own_mask() -> None:
    fitted = take(as_file(transparent_hole()))
    assert fitted.picture[2, 2].tolist() == [255, 255, 255]
    assert fitted.picture[60, 2].tolist() == [10, 20, 30]
    assert fitted.mask is not None
    assert fitted.mask[:32].all()
    assert not fitted.mask[32:].any()
    assert fitted.warnings


def test_an_opaque_rgba_picture_has_no_mask() -> None:
    rgba = transparent_hole()
    rgba[..., 3] = 255
    assert take(as_file(rgba)).mask is None


def test_transparent_means_repaint_in_a_mask_with_alpha() -> None:
    fitted = take(as_file(plain(64, 64)), as_file(transparent_hole()))
    assert fitted.mask is not None
    assert fitted.mask[:32].all()
    assert not fitted.mask[32:].any()


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_white_means_repaint_in_an_opaque_mask(mode: str) -> None:
    grey = np.zeros((64, 64), np.uint8)
    grey[:, 40:] = 255
    fitted = take(as_file(plain(64, 64)), image_file(Image.fromarray(grey).convert(mode)))
    assert fitted.mask is not None
    assert fitted.mask[:, 40:].all()
    assert not fitted.mask[:, :40].any()


def test_levels_between_repaint_by_so_much_and_strays_are_none() -> None:
    grey = np.arange(256, dtype=np.uint8)[None].repeat(16, 0)
    picture = as_file(plain(256, 16))
    right = grey.copy()
    right[:, :12], right[:, 244:] = 0, 255
    clear = np.dstack([plain(256, 16), 255 - grey])
    for mask in (as_file(grey), as_file(clear)):
        fitted = take(picture, mask, size=(256, 16))
        assert fitted.mask is not None
        assert np.array_equal(fitted.mask, right)
        again = take(picture, as_file(fitted.mask), size=(256, 16)).mask
        assert again is not None
        assert np.array_equal(again, right)  # as the library gives it back


@pytest.mark.parametrize("shape", [(640, 480), (4032, 3024), (1000, 777), (97, 80)])
def test_a_masks_reduction_loses_nothing(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    mask = np.zeros(shape[::-1], np.uint8)
    mask[rng.integers(0, shape[1], 9), rng.integers(0, shape[0], 9)] = rng.integers(40, 200, 9)
    fitted = take(as_file(plain(*shape)), as_file(mask), size=(64, 48), fit="pad", limits=LARGE)
    assert fitted.mask is not None
    scale = min(64 / shape[0], 48 / shape[1])
    width, height = round(shape[0] * scale), round(shape[1] * scale)
    left, top = (64 - width) // 2, (48 - height) // 2
    for y, x in np.argwhere(mask):
        at = top + int(y * height / shape[1]), left + int(x * width / shape[0])
        assert fitted.mask[at] >= mask[y, x]
    inside = fitted.mask[top : top + height, left : left + width]
    assert (inside > 0).sum() <= 4 * 9


def test_a_stroke_of_three_pixels_outlasts_any_reduction() -> None:
    mask = np.zeros((2048, 2048), np.uint8)
    mask[:, 1000:1003] = 255
    fitted = take(as_file(plain(2048, 2048)), as_file(mask), limits=LARGE)
    assert fitted.mask is not None
    columns = np.flatnonzero((fitted.mask == 255).all(axis=0))
    assert len(columns) in (1, 2)
    assert set(np.unique(fitted.mask)) == {0, 255}


@pytest.mark.parametrize("scale", [0.25, 1, 4])
def test_a_soft_edge_stays_soft(scale: float) -> None:
    side = round(256 * scale)
    ramp = np.clip(np.linspace(-0.6, 1.6, side) * 255, 0, 255).astype(np.uint8)
    mask = ramp[None].repeat(side, 0)
    fitted = take(as_file(plain(side, side)), as_file(mask), size=(256, 256), limits=LARGE)
    assert fitted.mask is not None
    steps = np.diff(fitted.mask[128].astype(int))
    assert steps.min() >= 0
    assert steps.max() <= 16
    assert (fitted.mask[128, 0], fitted.mask[128, -1]) == (0, 255)


def test_a_mask_of_another_size_is_refused_naming_both() -> None:
    with pytest.raises(InvalidValue, match=r"64x32.*48x48") as caught:
        take(as_file(plain(48, 48)), as_file(np.full((32, 64), 255, np.uint8)))
    assert caught.value.param == "mask"


def test_a_mask_that_repaints_nothing_is_refused() -> None:
    with pytest.raises(InvalidValue, match="repaints nothing"):
        take(as_file(plain(64, 64)), as_file(np.zeros((64, 64), np.uint8)))


def test_a_mask_is_refused_under_its_own_name() -> None:
    with pytest.raises(UnsupportedFile) as caught:
        take(as_file(plain(64, 64)), b"no mask")
    assert caught.value.param == "mask"


def test_crop_keeps_the_aspect_and_the_middle() -> None:
    fitted = take(as_file(disc(400, 200, radius=0.3)), size=(100, 100))
    red = fitted.picture[..., 1] < 150
    rows, columns = np.nonzero(red)
    assert abs((np.ptp(rows)) - (np.ptp(columns))) <= 2
    assert abs(columns.mean() - 49.5) < 2


def test_pad_keeps_everything_and_repaints_the_border_only_with_a_mask() -> None:
    picture = as_file(disc(200, 100, radius=0.3))
    fitted = take(picture, size=(100, 100), fit="pad")
    assert fitted.mask is None
    assert fitted.picture[2, 50].tolist() == fitted.picture[26, 50].tolist()
    mask = np.zeros((100, 200), np.uint8)
    mask[40:60, 90:110] = 255
    masked = take(picture, as_file(mask), size=(100, 100), fit="pad").mask
    assert masked is not None
    assert masked[:25].all()
    assert masked[75:].all()
    assert masked[50, 50]
    assert not masked[30, 5]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((300, 300), (256, 256)),
        ((400, 500), (224, 288)),
        ((500, 900), (192, 336)),
        ((900, 500), (336, 192)),
    ],
)
def test_auto_takes_the_size_of_the_nearest_aspect(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    fitted = take(as_file(plain(*shape)), size=None)
    assert fitted.picture.shape[1::-1] == expected


def test_half_a_size_is_refused() -> None:
    with pytest.raises(InvalidValue, match="both") as caught:
        fit_upload(as_file(plain(8, 8)), None, 64, None, "crop", SIZES, LIMITS)
    assert caught.value.param == "size"


def test_refusals_name_a_stable_code_and_travel_between_processes() -> None:
    import pickle

    with pytest.raises(RequestError) as caught:
        take(io.BytesIO(b"nothing").getvalue())
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.code, again.param) == ("unsupported_file", "image")


def test_the_subject_is_kept_and_all_around_it_repainted() -> None:
    picture = disc(64, 64, radius=0.3)
    fitted = fit_upload(as_file(picture), None, 64, 64, "crop", SIZES, LIMITS, keep="subject")
    assert fitted.mask is not None
    subject = picture[..., 1] < 100
    assert ((fitted.mask < 128) == subject).mean() > 0.97
    assert np.array_equal(fitted.picture, picture)
    assert fitted.warnings == ()


def test_a_cut_out_keeps_what_is_opaque() -> None:
    picture = np.dstack([noise(64, 64), np.zeros((64, 64), np.uint8)])
    picture[20:40, 10:50, 3] = 255
    fitted = fit_upload(as_file(picture), None, 64, 64, "crop", SIZES, LIMITS, keep="subject")
    assert fitted.mask is not None
    assert np.array_equal(255 - fitted.mask, picture[..., 3])


def test_a_subject_that_cannot_be_told_is_refused() -> None:
    with pytest.raises(InvalidValue, match="send a mask") as caught:
        fit_upload(as_file(plain(64, 64)), None, 64, 64, "crop", SIZES, LIMITS, keep="subject")
    assert (caught.value.param, caught.value.code) == ("keep", "no_subject")
    mask = as_file(np.zeros((64, 64), np.uint8))
    with pytest.raises(InvalidValue, match="mask") as caught:
        fit_upload(as_file(disc(64, 64)), mask, 64, 64, "crop", SIZES, LIMITS, keep="subject")
    assert (caught.value.param, caught.value.code) == ("keep", "contradiction")


def test_a_rough_subject_is_told() -> None:
    picture = noise(64, 64)
    picture[...] = picture // 6 + 20
    picture[20:44, 20:44] = (250, 240, 30)
    fitted = fit_upload(as_file(picture), None, 64, 64, "crop", SIZES, LIMITS, keep="subject")
    assert "not plain" in fitted.warnings[0]


@pytest.mark.parametrize(
    ("shape", "size", "told"),
    [
        ((600, 80), (64, 48), "middle 18%"),
        ((80, 600), (64, 48), "middle 10%"),
        ((64, 64), (64, 48), None),
        ((64, 48), (128, 96), None),
    ],
)
def test_a_crop_that_loses_much_is_told(
    shape: tuple[int, int], size: tuple[int, int], told: str | None
) -> None:
    picture = as_file(plain(*shape))
    warnings = take(picture, size=size).warnings
    assert len(warnings) == (told is not None)
    assert told is None or told in warnings[0]
    assert take(picture, size=size, fit="pad").warnings == ()
