"""Untrusted bytes to an upright picture that fits the canvas, or a clear refusal."""

import hashlib
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from deployments.errors import InvalidValue, TooLarge, UnsupportedFile
from deployments.handover import Fitted
from deployments.postprocess.cutout import cut_out
from deployments.postprocess.segmentation import Segmenter

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF")
_ACCEPTED = "send a PNG, JPEG, WebP or AVIF file"
_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_BAND_PIXELS = 2**18  # what a processor's cache holds, in any mode
_HALF = 128  # alpha or grey level that parts what is kept from what is repainted


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """What one uploaded file may hold: bytes as sent, and pixels as its header declares."""

    max_bytes: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Upright pixels: image in mode RGB; alpha uint8 (H, W), None where wholly opaque."""

    image: Image.Image
    alpha: NDArray[np.uint8] | None


def fit_upload(
    image: bytes,
    mask: bytes | None,
    width: int | None,
    height: int | None,
    fit: Literal["crop", "pad"],
    sizes: Sequence[tuple[int, int]],
    limits: IntakeLimits,
    keep: Literal["subject"] | None = None,
    segmenter: Segmenter | None = None,
) -> Fitted:
    """Decode `image` and `mask` and fit both to width x height, or, where these are None, to the
    entry of `sizes` (width, height) of the nearest aspect ratio.

    A mask's transparent pixels are repainted; in a mask without transparency its white ones
    (grey >= 128). Without a mask, the picture's own transparent pixels are. `crop` fills the
    canvas and cuts at the middle; `pad` shows all and continues the edges, which are repainted
    where there is a mask. `keep` "subject" repaints all but the subject: what the picture's own
    transparency leaves, or what `segmenter`, or without one its colour, tells from its ground.
    Raises UnsupportedFile, TooLarge or
    InvalidValue with param "image", "mask", "keep" or "size".
    """
    picture = decode(image, "image", limits)
    columns, rows = picture.image.size
    repaint = None if picture.alpha is None else picture.alpha < _HALF
    notes: tuple[str, ...] = ()
    if keep and mask is not None:
        raise InvalidValue(
            "keep: the mask says already what is kept; give one of them", "keep", "contradiction"
        )
    if mask is not None:
        repaint = _repaint(decode(mask, "mask", limits), rows, columns)
    elif repaint is not None and repaint.any():
        notes = ("the picture's transparent parts are taken as the mask",)
    elif keep:
        repaint, notes = _around_subject(np.asarray(picture.image), segmenter)
    else:
        repaint = None
    canvas = _canvas(width, height, columns, rows, sizes)
    fitted = (_crop if fit == "crop" else _pad)(picture.image, repaint, canvas)
    if fitted.mask is not None and not fitted.mask.any():
        raise InvalidValue(
            "The mask repaints nothing of what the canvas shows. Make transparent (or, in a mask "
            "without transparency, white) what is to be repainted.",
            "mask" if mask is not None else "image",
            "empty_mask",
        )
    return Fitted(fitted.picture, fitted.mask, notes, _digest(fitted, notes))


def _around_subject(
    rgb: NDArray[np.uint8], segmenter: Segmenter | None
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """The mask that repaints all but the subject, and what is doubtful about it."""
    found = cut_out(rgb, segmenter)
    if found is None:
        raise InvalidValue(
            "keep: no subject can be told from the picture's ground; send a mask",
            "keep",
            "no_subject",
        )
    repaint = found.alpha < _HALF
    if found.doubt is None:
        return repaint, ()
    return repaint, (f"keep: {found.doubt}: the subject may be cut out badly; send a mask",)


def _digest(fitted: Fitted, notes: tuple[str, ...]) -> str:
    found = hashlib.sha256(repr((fitted.picture.shape, fitted.mask is None, notes)).encode())
    found.update(np.ascontiguousarray(fitted.picture).data)
    if fitted.mask is not None:
        found.update(np.ascontiguousarray(fitted.mask).data)
    return found.hexdigest()


def _canvas(
    width: int | None, height: int | None, columns: int, rows: int, sizes: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    if width is not None and height is not None:
        if width < 1 or height < 1:
            raise InvalidValue(f"A canvas of {width}x{height} holds nothing.", "size", "bad_size")
        return width, height
    if width is not None or height is not None:
        raise InvalidValue("Give both width and height, or neither.", "size", "bad_size")
    ratio = np.log(columns / rows)
    return min(sizes, key=lambda size: abs(float(np.log(size[0] / size[1]) - ratio)))


def _repaint(mask: Picture, rows: int, columns: int) -> NDArray[np.bool_]:
    width, height = mask.image.size
    if (height, width) != (rows, columns):
        raise InvalidValue(
            f"The mask is {width}x{height} but the image is {columns}x{rows} (both upright); "
            "send a mask of the image's size.",
            "mask",
            "mask_size_mismatch",
        )
    if mask.alpha is not None:
        return mask.alpha < _HALF
    grey = [cv2.cvtColor(np.asarray(band), cv2.COLOR_RGB2GRAY) for _, band in _bands(mask.image)]
    return np.concatenate(grey) >= _HALF


def _crop(image: Image.Image, repaint: NDArray[np.bool_] | None, canvas: tuple[int, int]) -> Fitted:
    columns, rows = image.size
    scale = max(canvas[0] / columns, canvas[1] / rows)
    cut_width, cut_height = min(columns, canvas[0] / scale), min(rows, canvas[1] / scale)
    left, top = (columns - cut_width) / 2, (rows - cut_height) / 2
    box = (left, top, left + cut_width, top + cut_height)
    return Fitted(_resize(image, canvas, box), _resize_mask(repaint, canvas, box))


def _pad(image: Image.Image, repaint: NDArray[np.bool_] | None, canvas: tuple[int, int]) -> Fitted:
    columns, rows = image.size
    scale = min(canvas[0] / columns, canvas[1] / rows)
    width = min(canvas[0], max(1, round(columns * scale)))
    height = min(canvas[1], max(1, round(rows * scale)))
    left, top = (canvas[0] - width) // 2, (canvas[1] - height) // 2
    borders = ((top, canvas[1] - height - top), (left, canvas[0] - width - left))
    box = (0.0, 0.0, float(columns), float(rows))
    picture = np.pad(_resize(image, (width, height), box), (*borders, (0, 0)), mode="edge")
    mask = _resize_mask(repaint, (width, height), box)
    padded = None if mask is None else np.pad(mask, borders, constant_values=True)
    return Fitted(picture, padded)


def _resize(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    return np.array(image.resize(size, Image.Resampling.LANCZOS, box=box), dtype=np.uint8)


def _resize_mask(
    repaint: NDArray[np.bool_] | None,
    size: tuple[int, int],
    box: tuple[float, float, float, float],
) -> NDArray[np.bool_] | None:
    if repaint is None:
        return None
    image = Image.fromarray(repaint.astype(np.uint8) * 255)
    return np.array(image.resize(size, Image.Resampling.NEAREST, box=box)) > 0


def _over_white(image: Image.Image) -> Image.Image:
    """An RGBA picture laid over white, as RGB, rounded to the nearest level."""
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """A picture in bands of some rows, each with its topmost row's number.

    Arithmetic on a whole picture of many pixels would take several times its memory.
    """
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def decode(data: bytes, param: str, limits: IntakeLimits, *, over_white: bool = True) -> Picture:
    """Untrusted bytes as pixels; what is transparent lies over white, or keeps its own colour.

    Raises UnsupportedFile or TooLarge with `param`.
    """
    if len(data) > limits.max_bytes:
        raise TooLarge(
            f"The {param} has {len(data)} bytes; at most {limits.max_bytes} are taken.",
            param,
            "too_many_bytes",
        )
    if not data:
        raise UnsupportedFile(f"The {param} is empty; {_ACCEPTED}.", param, "empty_file")
    with _refusals(param), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > limits.max_pixels:
            raise TooLarge(
                f"The {param} is {image.width}x{image.height}; at most {limits.max_pixels} "
                "pixels are taken.",
                param,
                "too_many_pixels",
            )
        image.seek(0)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _to_rgb(image, over_white)


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


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    """`convert` without the copy where there is nothing to do."""
    return image if image.mode == mode else image.convert(mode)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey by its own scale; Pillow's `convert` would clip all above 255 to white."""
    top = 65535.0
    if image.mode == "F":
        top = max(1.0, *(float(np.nanmax(np.asarray(band))) for _, band in _bands(image)))
    grey = Image.new("L", image.size)
    for row, band in _bands(image):
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
