"""What is drawn between the ground and the letters: their shadows, then their stroke."""

import math
from collections.abc import Iterator

import cv2
import numpy as np

from deployments.postprocess import contrast, gradients, render
from deployments.postprocess.compose import Paint
from deployments.postprocess.fitting import SetText
from deployments.postprocess.gradients import Ink
from deployments.postprocess.render import Tile
from deployments.postprocess.typography import Shadow

MAX_BLUR = 48  # pixels; a blur's cost grows with its radius, and softer looks no better


def under(text: SetText, glyphs: Tile, ink: Ink | None) -> tuple[Paint, ...]:
    """The shadows and the stroke of `text`, whose letters are `glyphs`, from the ground up.

    A stroke of the colour `auto` waits for `ink`: it is left out where that is None.
    """
    layer, size = text.item.layer, text.setting.size
    stroke = layer.stroke
    shape = glyphs
    if stroke is not None and (layer.shadows or stroke.colour != "auto" or ink is not None):
        shape = render.outline(text.setting, text.x, text.y, stroke.width * size)
    paints = [_drop(shape, shadow, size) for shadow in layer.shadows]
    if stroke is not None:
        if stroke.colour != "auto":
            paints.append(Paint(shape, contrast.parse(stroke.colour)))
        elif ink is not None:
            paints.append(Paint(shape, gradients.opposite(ink)))
    return tuple(paints)


def warnings(text: SetText) -> Iterator[str]:
    """What of the effects asked for could not be done to the letter."""
    for shadow in text.item.layer.shadows:
        blur = shadow.blur * text.setting.size
        if blur > MAX_BLUR:
            yield f"{text.item.name}: a shadow's blur of {blur:.0f} px was limited to {MAX_BLUR} px"


def _drop(shape: Tile, shadow: Shadow, size: float) -> Paint:
    sigma = min(shadow.blur * size, MAX_BLUR) / 2  # as CSS defines a blur radius
    pad = math.ceil(3 * sigma)
    mask = contrast.padded(shape.mask, pad)
    if sigma > 0.1:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.uint8)
    x = shape.x - pad + round(shadow.x * size)
    y = shape.y - pad + round(shadow.y * size)
    return Paint(Tile(mask, x, y), contrast.parse(shadow.colour), shadow.alpha)
