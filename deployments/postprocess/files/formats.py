"""Pixels to a file: format, quality, colour profile and metadata."""

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from deployments.postprocess.files import xmp as metadata
from deployments.postprocess.files.embedded import PNG_KEY
from deployments.postprocess.files.xmp import Packet
from deployments.postprocess.schema import Output

_JPEG_QUALITY, _AVIF_QUALITY = 92, 80
_PNG_LEVEL = 1  # a quarter of level 6's time for a tenth more bytes
_START = b"\xff\xd8"
_APP2 = b"\xff\xe2"
_ICC = b"ICC_PROFILE\0\1\1"  # the first segment of one
_UNIT = 13  # where JFIF's own segment says what its resolution, right behind, is in
_PER_INCH = b"\1"


def encode(
    pixels: NDArray[np.uint8],
    output: Output,
    facts: Mapping[str, str],
    description: str | None = None,
    dpi: int | None = None,
) -> bytes:
    """`pixels`, uint8 (H, W, 3), sRGB, as a file that says of its making what its XMP tells.

    dpi: pixels an inch that the file carries, if it is to be printed at a certain size. The same
    input, the same bytes.
    """
    limit = metadata.PACKET_LIMIT if output.format == "jpeg" else None
    xmp = metadata.packet(facts, description, limit)
    if output.format == "jpeg":
        quality = _JPEG_QUALITY if output.compression is None else max(1, output.compression)
        parted = metadata.segments(xmp.standard, xmp.extension)
        return _jpeg(pixels, quality, parted, srgb_profile(), dpi)
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    options = {**_options(output, xmp), **(_resolution(output, dpi) if dpi else {})}
    image.save(buffer, output.format.upper(), icc_profile=srgb_profile(), **options)
    return buffer.getvalue()


@lru_cache
def srgb_profile() -> bytes:
    """An sRGB ICC profile; its creation date is fixed, so that files repeat bit for bit."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # ICC.1:2010, 7.2.8: bytes 24 to 35 hold the date as six 16-bit numbers.
    profile[24:36] = b"".join(n.to_bytes(2, "big") for n in (2020, 1, 1, 0, 0, 0))
    return bytes(profile)


def _options(output: Output, xmp: Packet) -> dict[str, Any]:
    quality = output.compression
    if output.format == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt(PNG_KEY, xmp.standard.decode("utf-8"))
        return {"pnginfo": info, "compress_level": _PNG_LEVEL}
    if output.format == "webp":
        # Method 0 is lossless at a tenth of the default's time.
        if quality is None:
            return {"lossless": True, "method": 0, "xmp": xmp.standard}
        return {"quality": quality, "method": 4, "xmp": xmp.standard}
    chosen = _AVIF_QUALITY if quality is None else quality
    fixed = {"subsampling": "4:4:4", "speed": 8, "max_threads": 1}
    return {"quality": chosen, "xmp": xmp.standard, **fixed}


def _resolution(output: Output, dpi: int) -> dict[str, Any]:
    """PNG has a field of its own for it; WebP and AVIF have EXIF's."""
    if output.format == "png":
        return {"dpi": (dpi, dpi)}
    exif = Image.Exif()
    exif[ExifTags.Base.XResolution] = exif[ExifTags.Base.YResolution] = dpi
    exif[ExifTags.Base.ResolutionUnit] = 2  # inches
    return {"exif": exif}


def _jpeg(
    pixels: NDArray[np.uint8], quality: int, segments: bytes, profile: bytes, dpi: int | None
) -> bytes:
    """`pixels`, uint8 (H, W, 3), sRGB, at full colour resolution; quality 1 to 100.

    segments: application segments to carry, markers and all. profile: ICC, at most 64 KB. dpi:
    pixels an inch, where the file is to tell them.
    """
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    done, coded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise RuntimeError(f"OpenCV could not encode a picture of shape {pixels.shape}")
    file = coded.tobytes()
    # JFIF's own segment must come first; the others follow it.
    after = len(_START) + 2 + int.from_bytes(file[4:6], "big")
    head = file[:after]
    if dpi is not None:
        head = head[:_UNIT] + _PER_INCH + 2 * dpi.to_bytes(2, "big") + head[_UNIT + 5 :]
    icc = _APP2 + (len(_ICC) + len(profile) + 2).to_bytes(2, "big") + _ICC + profile
    return head + segments + icc + file[after:]
