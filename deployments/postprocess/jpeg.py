"""JPEG files by OpenCV, since Pillow's encoder keeps all other threads waiting meanwhile."""

import cv2
import numpy as np
from numpy.typing import NDArray

_START = b"\xff\xd8"
_APP2 = b"\xff\xe2"
_ICC = b"ICC_PROFILE\0\1\1"  # the first segment of one
_UNIT = 13  # where JFIF's own segment says what its resolution, right behind, is in
_PER_INCH = b"\1"


def encode(
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
