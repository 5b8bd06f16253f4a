"""Untrusted bytes to an upright picture in sRGB, or a clear refusal."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, UnidentifiedImageError

from deployments.errors import InvalidValue, TooLarge, UnsupportedFile
from deployments.postprocess import containers
from deployments.postprocess.intake import avif, jpeg, png, srgb
from deployments.postprocess.intake.container import NOT_READ, Container, orientation
from deployments.postprocess.intake.limits import IntakeLimits
from deployments.postprocess.intake.spaces import UnknownSpace
from deployments.postprocess.schema import FORMATS

_ACCEPTED = "send a PNG, JPEG, WebP or AVIF file"
_ALPHA_MODES = ("RGBA", "LA", "PA")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """Upright pixels: image in mode RGB; alpha uint8 (H, W), None where wholly opaque. warnings:
    what of the file could not be taken as it says."""

    image: Image.Image
    alpha: NDArray[np.uint8] | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a file shows, as it is stored: colours, an image of mode L, I;16, RGB or CMYK, or uint16
    (H, W, 3); alpha of mode L."""

    colours: Image.Image | NDArray[np.uint16]
    alpha: Image.Image | None


def decode(data: bytes, param: str, limits: IntakeLimits, *, over_white: bool = True) -> Picture:
    """Untrusted bytes as pixels in sRGB; what is transparent lies over white, or keeps its own
    colour.

    Raises UnsupportedFile or TooLarge with `param`.
    """
    return _read(data, param, limits, over_white, as_shown=True)


def decode_mask(data: bytes, param: str, limits: IntakeLimits) -> Picture:
    """The same of a mask, whose levels say how much, whatever colour they are shown in."""
    return _read(data, param, limits, over_white=False, as_shown=False)


def _read(
    data: bytes, param: str, limits: IntakeLimits, over_white: bool, as_shown: bool
) -> Picture:
    limits.check_bytes(len(data), param)
    if not data:
        raise UnsupportedFile(f"The {param} is empty; {_ACCEPTED}.", param, "empty_file")
    with _refusals(param):
        file = _container(data)
        frame, file = _frame(file, param, limits)
        warning = file.warning
        try:
            rgb = _to_srgb(frame.colours, file.profile if as_shown else None)
        except UnknownSpace:
            rgb, warning = _to_srgb(frame.colours, None), NOT_READ
        alpha = frame.alpha
        if alpha is not None and alpha.getextrema()[0] == 255:
            alpha = None
        if alpha is not None and over_white:
            rgb.paste("white", mask=ImageChops.invert(alpha))
        if (method := _UPRIGHT.get(orientation(file.exif))) is not None:
            rgb = rgb.transpose(method)
            alpha = alpha and alpha.transpose(method)
    warnings = (f"{param}: {warning}",) if warning and as_shown else ()
    return Picture(rgb, None if alpha is None else np.asarray(alpha), warnings)


@contextmanager
def _refusals(param: str) -> Iterator[None]:
    """Whatever a decoder says of a bad file, said as a refusal that names the field.

    Decoders raise what they like on hostile bytes (struct.error, IndexError, ZeroDivisionError),
    so everything but our own refusals and memory exhaustion means that the file is broken.
    """
    try:
        yield
    except (TooLarge, InvalidValue, UnsupportedFile, MemoryError):
        raise
    except Image.DecompressionBombError:
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


def _container(data: bytes) -> Container:
    if data.startswith(containers.png.MAGIC):
        return png.read(data)
    if data.startswith(containers.jpeg.MAGIC):
        return jpeg.read(data)
    return avif.read(data) if containers.boxes.is_avif(data) else Container(data)


def _frame(file: Container, param: str, limits: IntakeLimits) -> tuple[_Frame, Container]:
    """The first picture of a file, and the file with what its decoder found."""
    with Image.open(io.BytesIO(file.data), formats=FORMATS) as opened:
        limits.check_pixels(opened.width, opened.height, param)
        if isinstance(file, png.Png) and file.depth == 16:
            return _deep(file), file
        opened.seek(0)
        image = _loaded(opened, file)
    frame = _parted(image, file)
    exif = file.exif or image.info.get("exif", b"")
    if (embedded := image.info.get("icc_profile")) is not None:
        return frame, Container(file.data, embedded, exif)
    return frame, replace(file, exif=exif)


def _loaded(image: Image.Image, file: Container) -> Image.Image:
    """With its pixels; those of a JPEG too that lacks nothing but its end marker."""
    try:
        image.load()
    except OSError:
        if not file.data.startswith(containers.jpeg.MAGIC):
            raise
        first, second = (_decoded(one) for one in jpeg.ended(file.data))
        if ImageChops.difference(first, second).getbbox() is not None:
            raise
        return first
    return image


def _decoded(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        image.load()
        return image


def _parted(image: Image.Image, file: Container) -> _Frame:
    """Colours and alpha of a decoded image of eight bits or fewer."""
    alpha = None
    key = file.key if isinstance(file, png.Png) else None
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in _ALPHA_MODES:
        alpha = image.getchannel("A")
        image = image.getchannel("L") if image.mode == "LA" else image.convert("RGB")
    if key is not None and isinstance(file, png.Png):
        scale = 255 // ((1 << file.depth) - 1)
        alpha = _all_but(np.asarray(image), [sample * scale for sample in key])
    if image.mode not in ("L", "CMYK"):
        image = image if image.mode == "RGB" else image.convert("RGB")
    return _Frame(image, alpha)


def _deep(file: png.Png) -> _Frame:
    """The same of a PNG of 16 bits a sample, of which Pillow reads but eight."""
    read = cv2.imdecode(np.frombuffer(file.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if read is None or read.dtype != np.uint16:
        raise ValueError("OpenCV cannot read it")
    alpha = None
    values: NDArray[np.uint16] = np.atleast_3d(read).astype(np.uint16, copy=False)
    if values.shape[2] == 4:
        alpha = srgb.eight_bits(Image.fromarray(np.ascontiguousarray(values[..., 3])))
    colours = values[..., :1] if file.grey else values[..., 2::-1]
    if file.key is not None:
        alpha = _all_but(colours, file.key)
    return _Frame(colours, alpha)


def _all_but(values: NDArray[np.uint8] | NDArray[np.uint16], key: object) -> Image.Image:
    """255 but where all samples are those of the key."""
    same = np.atleast_3d(values) == np.asarray(key, values.dtype)
    return Image.fromarray(np.where(same.all(axis=2), 0, 255).astype(np.uint8))


def _to_srgb(colours: Image.Image | NDArray[np.uint16], profile: bytes | None) -> Image.Image:
    """As RGB; without a profile colours are sRGB, and inks by Pillow's plain arithmetic."""
    if not isinstance(colours, Image.Image):
        return srgb.from_sixteen_bits(colours, profile)
    if profile is not None:
        return srgb.to_srgb(colours, profile)
    return colours if colours.mode == "RGB" else colours.convert("RGB")
