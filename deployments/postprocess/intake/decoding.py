"""Untrusted bytes to an upright picture in sRGB, or a clear refusal."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from deployments.errors import InvalidValue, TooLarge, UnsupportedFile
from deployments.postprocess.intake.limits import IntakeLimits
from deployments.postprocess.schema import FORMATS

_ACCEPTED = "send a PNG, JPEG, WebP or AVIF file"
_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_BAND_PIXELS = 2**18  # what a processor's cache holds, in any mode


@dataclass(frozen=True, slots=True)
class Picture:
    """Upright pixels: image in mode RGB; alpha uint8 (H, W), None where wholly opaque."""

    image: Image.Image
    alpha: NDArray[np.uint8] | None


def decode(data: bytes, param: str, limits: IntakeLimits, *, over_white: bool = True) -> Picture:
    """Untrusted bytes as pixels; what is transparent lies over white, or keeps its own colour.

    Raises UnsupportedFile or TooLarge with `param`.
    """
    limits.check_bytes(len(data), param)
    if not data:
        raise UnsupportedFile(f"The {param} is empty; {_ACCEPTED}.", param, "empty_file")
    with _refusals(param), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        limits.check_pixels(image.width, image.height, param)
        image.seek(0)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _to_rgb(image, over_white)


def bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """A picture in bands of some rows, each with its topmost row's number.

    Arithmetic on a whole picture of many pixels would take several times its memory.
    """
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


@contextmanager
def _refusals(param: str) -> Iterator[None]:
    """Whatever a decoder says of a bad file, said as a refusal that names the field.

    Decoders raise what they like on hostile bytes (struct.error, IndexError, ZeroDivisionError),
    so everything but our own refusals and memory exhaustion means that the file is broken.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning)
            yield
    except (TooLarge, InvalidValue, UnsupportedFile, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise TooLarge(
            f"The {param} declares far too many pixels.", param, "too_many_pixels"
        ) from None
    except UnidentifiedImageError:
        raise UnsupportedFile(
            f"The {param} is no picture of an accepted format; {_ACCEPTED}.",
            param,
            "unsupported_file",
        ) from None
    except Exception as fault:
        raise UnsupportedFile(
            f"The {param} is damaged or cut short; {_ACCEPTED} that opens elsewhere.",
            param,
            "damaged_file",
        ) from fault


def _to_rgb(image: Image.Image, over_white: bool) -> Picture:
    """8-bit sRGB and alpha of a decoded frame in any mode."""
    if image.mode in _DEEP_MODES:
        image = _to_eight_bits(image)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        image = _as_mode(image, "RGBA")
        alpha = np.array(image.getchannel("A"))
        if int(alpha.min()) < 255:
            rgb = _over_white(image) if over_white else image.convert("RGB")
            return Picture(rgb, alpha)
    if image.mode == "CMYK":
        image = _cmyk_to_srgb(image)
    return Picture(_as_mode(image, "RGB"), None)


def _over_white(image: Image.Image) -> Image.Image:
    """An RGBA picture laid over white, as RGB, rounded to the nearest level."""
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    """`convert` without the copy where there is nothing to do."""
    return image if image.mode == mode else image.convert(mode)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey by its own scale; Pillow's `convert` would clip all above 255 to white."""
    top = 65535.0
    if image.mode == "F":
        top = max(1.0, *(float(np.nanmax(np.asarray(band))) for _, band in bands(image)))
    grey = Image.new("L", image.size)
    for row, band in bands(image):
        values = np.asarray(band).astype(np.float64)
        levels = np.nan_to_num(np.clip(values / top, 0.0, 1.0)) * 255.0 + 0.5
        grey.paste(Image.fromarray(levels.astype(np.uint8)), (0, row))
    return grey


def _cmyk_to_srgb(image: Image.Image) -> Image.Image:
    """Through the file's own ICC profile; without one by Pillow's plain arithmetic."""
    embedded = image.info.get("icc_profile")
    if not embedded:
        return image.convert("RGB")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        return ImageCms.profileToProfile(image, profile, _srgb(), outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")


@lru_cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
