"""What lies between the picture and the letters: plate, scrim and glass, shadows and strokes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import Rect, Tile, masks
from deployments.postprocess.design import PLATE_PADDING, SetText
from deployments.postprocess.painting.paint import Ink, Paint, ends
from deployments.postprocess.schema import Shadow, opposite, parse_hex
from deployments.postprocess.typesetting import drawing

_RADIUS = 0.022
_SOFTNESS = 0.02  # of the canvas's short side, the blur's standard deviation
_FADE = 0.06  # of the short side, over which a scrim ends before what is protected
_MAX_SIGMA = 32.0  # pixels
_COARSE = 4  # blurred at a fraction of the size, since nothing fine is left


@dataclass(frozen=True, slots=True)
class Extent:
    """A box on a canvas of height x width, in pixels, to be turned by `rotate` degrees; a plate
    under it stays `within`. protect: what nothing is painted on.
    """

    box: Rect
    rotate: float
    height: int
    width: int
    within: Rect
    protect: tuple[Rect, ...] = ()

    def plate(self) -> Tile:
        short = min(self.height, self.width)
        box = self.box.grow(PLATE_PADDING * short)
        if not self.rotate:
            box = box.clip(self.within)
        return drawing.turned(box, _RADIUS * short, self.rotate, box)

    def scrim(self) -> tuple[Tile, float]:
        """A gradient from the nearest side to beyond the box, and the share of canvas it covers;
        it ends softly before what is protected."""
        height, width, box = self.height, self.width, self.box.turned(self.rotate)
        reaches = {
            "top": box.bottom / height,
            "bottom": 1 - box.y / height,
            "left": box.right / width,
            "right": 1 - box.x / width,
        }
        side = min(reaches, key=lambda name: reaches[name])
        length = height if side in ("top", "bottom") else width
        solid = reaches[side] * length
        fall = max(0.18 * length, 0.3 * solid)
        distance = np.arange(length, dtype=np.float32)
        if side in ("bottom", "right"):
            distance = distance[::-1]
        ramp = np.clip((solid + fall - distance) / fall, 0.0, 1.0)
        profile = (255 * ramp * ramp * (3 - 2 * ramp) + 0.5).astype(np.uint8)
        first, last = np.flatnonzero(profile)[[0, -1]]
        profile = profile[first : last + 1]  # beyond it there is nothing to paint
        if side in ("top", "bottom"):
            mask = np.broadcast_to(profile[:, None], (len(profile), width))
            return self._around(Tile(mask.copy(), 0, int(first))), reaches[side]
        mask = np.broadcast_to(profile[None, :], (height, len(profile)))
        return self._around(Tile(mask.copy(), int(first), 0)), reaches[side]

    def _around(self, tile: Tile) -> Tile:
        """The tile, fading out towards what is protected."""
        free = np.full(tile.mask.shape, 255, np.uint8)
        for rect in self.protect:
            left, top, right, bottom = rect.move(-tile.x, -tile.y).pixels()
            free[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 0
        if free.all():
            return tile
        reach = max(1.0, _FADE * min(self.height, self.width))
        share = np.clip(cv2.distanceTransform(free, cv2.DIST_L2, 5) / reach, 0, 1)
        faded = tile.mask * (share * share * (3 - 2 * share))
        return Tile((faded + 0.5).astype(np.uint8), tile.x, tile.y)


def under(text: SetText, glyphs: Tile, ink: Ink | None) -> tuple[Paint, ...]:
    """The shadows and the stroke of `text`, whose letters are `glyphs`, from the ground up.

    A stroke of the colour `auto` waits for `ink`: it is left out where that is None.
    """
    layer, size = text.item.layer, text.setting.size
    stroke = layer.stroke
    shape = glyphs
    if stroke is not None and (layer.shadows or stroke.colour != "auto" or ink is not None):
        shape = _solid(
            drawing.outline(text.setting, text.x, text.y, stroke.width * size),
            glyphs,
            stroke.width * size,
        )
    paints = [_drop(shape, shadow, size) for shadow in layer.shadows]
    if stroke is not None:
        if stroke.colour != "auto":
            paints.append(Paint(shape, parse_hex(stroke.colour)))
        elif ink is not None:
            paints.append(Paint(shape, opposite(*ends(ink))))
    return tuple(paints)


def _solid(stroke: Tile, glyphs: Tile, width: float) -> Tile:
    """`stroke` without holes: the engine leaves some where a line is wider than the shape that it
    goes around, as at dots. All that lies nearer to the letters than its edge is of it."""
    mask = stroke.mask.copy()
    away = np.full(mask.shape, 255, np.uint8)
    rows, columns = glyphs.mask.shape
    top, left = glyphs.y - stroke.y, glyphs.x - stroke.x
    first_row, first_column = max(0, -top), max(0, -left)
    seen = glyphs.mask[first_row:, first_column:]
    region = away[max(0, top) :, max(0, left) :][: rows - first_row, : columns - first_column]
    region[seen[: region.shape[0], : region.shape[1]] >= 128] = 0
    distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_5)
    mask[distance <= max(0.0, width - 1.5)] = 255
    return Tile(mask, stroke.x, stroke.y)


def frost(pixels: NDArray[np.uint8], tile: Tile) -> None:
    """Blur `pixels`, uint8 (H, W, 3), in place where `tile` covers them."""
    height, width = pixels.shape[:2]
    rows, columns = tile.mask.shape
    box = Rect(tile.x, tile.y, columns, rows).clip(Rect(0, 0, width, height))
    if box.area == 0:
        return
    sigma = min(_SOFTNESS * min(height, width), _MAX_SIGMA)
    left, top, right, bottom = box.pixels()
    reach = math.ceil(3 * sigma)
    outer = box.grow(reach).clip(Rect(0, 0, width, height))
    x, y, far_x, far_y = outer.pixels()
    around = pixels[y:far_y, x:far_x]
    small_size = (max(1, around.shape[1] // _COARSE), max(1, around.shape[0] // _COARSE))
    small = cv2.resize(around, small_size, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), max(sigma / _COARSE, 0.5), borderType=cv2.BORDER_REFLECT)
    full = cv2.resize(soft, around.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    mask = tile.mask[top - tile.y : bottom - tile.y, left - tile.x : right - tile.x]
    weight = mask[..., None].astype(np.float32) / 255
    sharp = pixels[top:bottom, left:right].astype(np.float32)
    blurred = full[top - y : bottom - y, left - x : right - x].astype(np.float32)
    pixels[top:bottom, left:right] = (sharp + (blurred - sharp) * weight + 0.5).astype(np.uint8)


def warnings(text: SetText) -> Iterator[str]:
    """What of the effects asked for could not be done to the letter."""
    for shadow in text.item.layer.shadows:
        blur, most = shadow.blur * text.setting.size, masks.MAX_BLUR
        if blur > most:
            yield f"{text.item.name}: a shadow's blur of {blur:.0f} px was limited to {most} px"


def _drop(shape: Tile, shadow: Shadow, size: float) -> Paint:
    sigma = min(shadow.blur * size, masks.MAX_BLUR) / 2  # as CSS defines a blur radius
    pad = math.ceil(3 * sigma)
    mask = masks.padded(shape.mask, pad)
    if sigma > 0.1:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.uint8)
    x = shape.x - pad + round(shadow.x * size)
    y = shape.y - pad + round(shadow.y * size)
    return Paint(Tile(mask, x, y), parse_hex(shadow.colour), shadow.alpha)
