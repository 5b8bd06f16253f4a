"""A QR code as pixels, one a module."""

import numpy as np
import segno
from numpy.typing import NDArray

from deployments.postprocess import contrast
from deployments.postprocess.spec import QrLayer

_LEVELS = {"low": "L", "medium": "M", "quartile": "Q", "high": "H"}


def draw(layer: QrLayer) -> NDArray[np.uint8]:
    """The symbol with its quiet zone: uint8 (n, n, 4), opaque, one pixel a module."""
    # UTF-8 for all that is not ASCII: what telephones read without being told.
    symbol = segno.make(
        layer.data,
        error=_LEVELS[layer.error_correction],
        micro=False,
        encoding=None if layer.data.isascii() else "utf-8",
    )
    modules = np.pad(np.array([list(row) for row in symbol.matrix], np.uint8), layer.quiet_zone)
    colours = np.array([contrast.parse(layer.light), contrast.parse(layer.dark)], np.uint8)
    pixels = colours[modules]
    return np.dstack([pixels, np.full(modules.shape, 255, np.uint8)])
