"""Image and QR layers as pixels, ready to be placed: what they show, and how large they can be."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
import segno
from numpy.typing import NDArray
from PIL import Image

from deployments.postprocess.schema import KEPT, ImageLayer, OverlaySpec, QrLayer, parse_hex

SIZES: Mapping[str, float] = MappingProxyType({"logo": 0.13, "badge": 0.2, "qr": 0.17})
"""Usual sizes, as InsetLayer.size says; a product takes what the words leave."""
_CLEAR: Mapping[str, float] = MappingProxyType({"logo": 0.25, "badge": 0.1, "product": 0.04})
_EASY_MODULE = 3  # pixels a module, from which a QR code is read without trying
_LEVELS = {"low": "L", "medium": "M", "quartile": "Q", "high": "H"}


@dataclass(frozen=True, slots=True)
class Artwork:
    """One layer's picture, uint8 (h, w, 4), alpha not multiplied in; of a QR, a pixel a module."""

    index: int
    layer: ImageLayer | QrLayer
    pixels: NDArray[np.uint8]

    @property
    def kind(self) -> str:
        return self.layer.kind if isinstance(self.layer, ImageLayer) else "qr"

    @property
    def name(self) -> str:
        return f"layer {self.index} ({self.kind})"

    @property
    def shadow(self) -> str:
        if isinstance(self.layer, QrLayer):
            return "none"
        usual = "contact" if self.kind == "product" else "none"
        return usual if self.layer.shadow == "auto" else self.layer.shadow

    def sized(self, side: float) -> tuple[int, int]:
        """Width and height in pixels, of the area of a square of `side` pixels."""
        height, width = self.pixels.shape[:2]
        scale = side / math.sqrt(width * height)
        if self.kind == "qr":
            scale = max(scale, _EASY_MODULE if self.layer.size is None else 1)
        return self._scaled(scale)

    def within(self, width: float, height: float) -> tuple[int, int]:
        """The largest width and height in pixels inside these; 0, 0 where there is no room."""
        rows, columns = self.pixels.shape[:2]
        if min(width, height) < 1:
            return 0, 0
        across, down = self._scaled(min(width / columns, height / rows))
        return min(across, int(width)), min(down, int(height))

    def clear_px(self, width: int, height: int) -> float:
        """Pixels to be kept clear around it; a QR has its quiet zone."""
        if isinstance(self.layer, QrLayer):
            return 0.0
        share = self.layer.clear_space
        return (_CLEAR[self.kind] if share is None else share) * min(width, height)

    def drawn(self, width: int, height: int) -> NDArray[np.uint8]:
        """The picture at that size, uint8 (height, width, 4); as it is where it has that size."""
        rows, columns = self.pixels.shape[:2]
        if (columns, rows) == (width, height):
            return self.pixels
        if self.kind == "qr":
            module = width // columns
            return self.pixels.repeat(module, axis=0).repeat(module, axis=1)
        # Pillow multiplies alpha in before and out again after it resamples.
        image = Image.fromarray(self.pixels).resize((width, height), Image.Resampling.LANCZOS)
        return np.array(image, np.uint8)

    def doubts(self, width: int) -> tuple[list[str], list[str]]:
        """Problems, and warnings, of showing it `width` pixels wide."""
        scale = width / self.pixels.shape[1]
        if self.kind == "qr" and scale < _EASY_MODULE:
            return [f"{self.name}: modules of {scale:g} px are hard to scan; make it larger"], []
        if self.kind != "qr" and scale > 1.5:
            return [], [f"{self.name}: enlarged {scale:.1f} times; send a larger image"]
        return [], []

    def _scaled(self, scale: float) -> tuple[int, int]:
        rows, columns = self.pixels.shape[:2]
        if self.kind == "qr":
            module = int(scale + 1e-6)
            return columns * module, rows * module
        return max(1, round(columns * scale)), max(1, round(rows * scale))


def prepare(spec: OverlaySpec, files: Mapping[str, bytes]) -> list[Artwork]:
    """The artworks of a spec in its order. files: what its image layers name, by their names."""
    artworks = []
    for index, layer in enumerate(spec.layers):
        if isinstance(layer, ImageLayer):
            pixels = open_file(files[layer.image.removeprefix(KEPT)])
            artworks.append(Artwork(index, layer, pixels))
        elif isinstance(layer, QrLayer):
            artworks.append(Artwork(index, layer, draw_qr(layer)))
    return artworks


def open_file(data: bytes) -> NDArray[np.uint8]:
    """uint8 (h, w, 4) of a kept file."""
    with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
        return np.array(image.convert("RGBA"))


def edge(alpha: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The outermost pixels, two deep, of what `alpha` shows; none of what is wholly opaque."""
    shown = (alpha >= 128).astype(np.uint8)
    if shown.all():
        return np.zeros(alpha.shape, np.bool_)
    inner = cv2.erode(np.pad(shown, 2), np.ones((5, 5), np.uint8))[2:-2, 2:-2]
    return np.asarray((shown > 0) & (inner == 0))


def draw_qr(layer: QrLayer) -> NDArray[np.uint8]:
    """The symbol with its quiet zone: uint8 (n, n, 4), opaque, one pixel a module."""
    # UTF-8 for all that is not ASCII: what telephones read without being told.
    symbol = segno.make(
        layer.data,
        error=_LEVELS[layer.error_correction],
        micro=False,
        encoding=None if layer.data.isascii() else "utf-8",
    )
    modules = np.pad(np.array([list(row) for row in symbol.matrix], np.uint8), layer.quiet_zone)
    colours = np.array([parse_hex(layer.light), parse_hex(layer.dark)], np.uint8)
    pixels = colours[modules]
    return np.dstack([pixels, np.full(modules.shape, 255, np.uint8)])
