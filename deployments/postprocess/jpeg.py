"""JPEG files by OpenCV, since Pillow's encoder keeps all other threads waiting meanwhile."""

import cv2
import numpy as np
from numpy.typing import NDArray

_START = b"\xff\xd8"
_APP1, _APP2 = b"\xff\xe1", b"\xff\xe2"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_ICC = b"ICC_PROFILE\0\1\1"  # the first segment of one


def encode(pixels: NDArray[np.uint8], quality: int, xmp: bytes, profile: bytes) -> bytes:
    """`pixels`, uint8 (H, W, 3), sRGB, at full colour resolution; quality 1 to 100.

    `xmp` and the ICC `profile` must each fit a segment: 64 KB less their names.
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
    # What a segment tells comes after JFIF's own, which must be first.
    after = len(_START) + 2 + int.from_bytes(file[4:6], "big")
    told = _segment(_APP1, _XMP + xmp) + _segment(_APP2, _ICC + profile)
    return file[:after] + told + file[after:]


def _segment(marker: bytes, data: bytes) -> bytes:
    return marker + (len(data) + 2).to_bytes(2, "big") + data
