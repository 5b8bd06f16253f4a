"""Pixels to a file: format, quality, colour profile and metadata."""

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from deployments.postprocess import jpeg, metadata
from deployments.postprocess.spec import Output

MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}
_JPEG_QUALITY, _AVIF_QUALITY = 92, 80
_PNG_LEVEL = 1  # a quarter of level 6's time for a tenth more bytes
_JPEG_XMP_LIMIT = 65_502  # one APP1 segment less its length and XMP's name


def encode(
    pixels: NDArray[np.uint8], output: Output, facts: Mapping[str, str]
) -> tuple[bytes, tuple[str, ...]]:
    """`pixels`, uint8 (H, W, 3), sRGB, as a file, and warnings. The same input, the same bytes."""
    limit = _JPEG_XMP_LIMIT if output.format == "jpeg" else None
    xmp, dropped = metadata.packet(facts, limit)
    warnings = tuple(f"metadata {name!r} was too long for a JPEG and left out" for name in dropped)
    if output.format == "jpeg":
        quality = _JPEG_QUALITY if output.compression is None else max(1, output.compression)
        return jpeg.encode(pixels, quality, xmp, srgb_profile()), warnings
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(buffer, output.format.upper(), icc_profile=srgb_profile(), **_options(output, xmp))
    return buffer.getvalue(), warnings


def _options(output: Output, xmp: bytes) -> dict[str, Any]:
    quality = output.compression
    if output.format == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt(metadata.PNG_KEY, xmp.decode("utf-8"))
        return {"pnginfo": info, "compress_level": _PNG_LEVEL}
    if output.format == "webp":
        # Method 0 is lossless at a tenth of the default's time.
        if quality is None:
            return {"lossless": True, "method": 0, "xmp": xmp}
        return {"quality": quality, "method": 4, "xmp": xmp}
    chosen = _AVIF_QUALITY if quality is None else quality
    return {"quality": chosen, "subsampling": "4:4:4", "speed": 8, "max_threads": 1, "xmp": xmp}


@lru_cache
def srgb_profile() -> bytes:
    """An sRGB ICC profile; its creation date is fixed, so that files repeat bit for bit."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # ICC.1:2010, 7.2.8: bytes 24 to 35 hold the date as six 16-bit numbers.
    profile[24:36] = b"".join(n.to_bytes(2, "big") for n in (2020, 1, 1, 0, 0, 0))
    return bytes(profile)
