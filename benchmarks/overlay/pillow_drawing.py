"""The same advert drawn with Pillow alone, as a good engineer would: what the overlay is held to.

Places, sizes, line breaks, inks, backings and their alphas are given, as Signboard reported them;
nothing is searched or measured. Faces are opened once, and every mask is bounded to its layer.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from deployments.postprocess.canvas import contrast
from deployments.postprocess.design import ROLES, is_block, padding
from deployments.postprocess.schema import Colour, LayerReport, OverlayReport, parse_hex
from deployments.postprocess.typesetting import fonts

_PLATE_PADDING, _PLATE_RADIUS, _SHADOW = 0.024, 0.022, 0.1
_SOFT = 4  # times as large: how corners are drawn, since Pillow's shapes have hard edges


def draw(picture: NDArray[np.uint8], report: OverlayReport) -> Image.Image:
    """`picture`, uint8 (H, W, 3), with the layers of `report`.

    A button is black or white, whichever its words are not, since the report does not say.
    """
    image = Image.fromarray(picture)
    plain = [layer for layer in report.layers if not is_block(ROLES[layer.role].plaque)]
    kind, alpha = plain[0].backing, plain[0].backing_alpha
    colour = _opposite(plain[0].fill)
    if kind == "scrim":
        _scrim(image, report, colour, alpha)
    elif kind == "plate":
        _plate(image, report, colour, alpha)
    for layer in report.layers:
        if is_block(ROLES[layer.role].plaque):
            left, top, width, height = layer.box
            image.paste(_opposite(layer.fill), (left, top), _rounded(width, height, height // 2))
        elif kind == "shadow":
            _shadow(image, layer, colour, alpha)
    canvas = ImageDraw.Draw(image)
    for layer in report.layers:
        left, top, _, _ = layer.box
        _words(canvas, layer, left, top, parse_hex(layer.fill))
    return image


@lru_cache
def face(family: str, size: float, weight: int) -> ImageFont.FreeTypeFont:
    """A variable face at one size and weight, opened once."""
    path = next(face.path for face in fonts.faces() if face.family == family)
    font = ImageFont.truetype(path, size)
    font.set_variation_by_axes([weight])
    return font


def _words(
    canvas: ImageDraw.ImageDraw, layer: LayerReport, x: float, y: float, ink: Colour | int
) -> None:
    """The lines of `layer`, its box's top left corner at (x, y)."""
    style, size = ROLES[layer.role], layer.font_size_px
    font = face(layer.font, size, style.weight)
    across, down = padding(style.plaque, 0.0, 0.0, size)
    x, y = x + across, y + down
    leading = style.leading * size
    for index, line in enumerate(layer.lines):
        canvas.text((x, y + (index + 0.5) * leading), line, ink, font, anchor="lm")


def _shadow(image: Image.Image, layer: LayerReport, colour: Colour, alpha: float) -> None:
    left, top, width, height = layer.box
    reach = max(3, round(_SHADOW * layer.font_size_px))
    pad = 3 * reach
    mask = Image.new("L", (width + 2 * pad, height + 2 * pad))
    _words(ImageDraw.Draw(mask), layer, pad, pad, 255)
    soft = mask.filter(ImageFilter.GaussianBlur(0.8 * reach))
    grown = soft.point([min(255, 2 * level) * alpha for level in range(256)])
    image.paste(colour, (left - pad, top - pad), grown)


def _opposite(ink: str) -> Colour:
    """Nearly black under light ink, nearly white under dark."""
    light = contrast.luminance(np.array(parse_hex(ink), np.uint8)) > 0.4
    return (12, 12, 12) if light else (246, 246, 246)


def _scrim(image: Image.Image, report: OverlayReport, colour: Colour, alpha: float) -> None:
    """A gradient from the side nearest to the words, over them and as far again as a fifth."""
    top = min(layer.box[1] for layer in report.layers)
    bottom = max(layer.box[1] + layer.box[3] for layer in report.layers)
    from_top = bottom <= report.height - top
    solid = bottom if from_top else report.height - top
    fall = max(round(0.18 * report.height), round(0.3 * solid))
    length = min(report.height, solid + fall)
    levels = bytes(
        round(255 * alpha * min(1.0, max(0.0, (solid + fall - row) / fall)))
        for row in range(length)
    )
    ramp = Image.frombytes("L", (1, length), levels).resize((report.width, length))
    if from_top:
        image.paste(colour, (0, 0), ramp)
    else:
        flipped = ramp.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        image.paste(colour, (0, report.height - length), flipped)


def _plate(image: Image.Image, report: OverlayReport, colour: Colour, alpha: float) -> None:
    short = min(report.width, report.height)
    pad = round(_PLATE_PADDING * short)
    boxes = [layer.box for layer in report.layers]
    left, top = min(box[0] for box in boxes) - pad, min(box[1] for box in boxes) - pad
    right = max(box[0] + box[2] for box in boxes) + pad
    bottom = max(box[1] + box[3] for box in boxes) + pad
    mask = _rounded(right - left, bottom - top, round(_PLATE_RADIUS * short), round(255 * alpha))
    image.paste(colour, (left, top), mask)


def _rounded(width: int, height: int, radius: int, level: int = 255) -> Image.Image:
    """A mask with smooth corners: only these are drawn large, and scaled down."""
    mask = Image.new("L", (width, height), level)
    side = 2 * radius
    circle = Image.new("L", (side * _SOFT, side * _SOFT))
    ImageDraw.Draw(circle).ellipse((0, 0, side * _SOFT - 1, side * _SOFT - 1), level)
    small = circle.reduce(_SOFT)
    for x in (0, 1):
        for y in (0, 1):
            corner = small.crop((x * radius, y * radius, (x + 1) * radius, (y + 1) * radius))
            mask.paste(corner, (x * (width - radius), y * (height - radius)))
    return mask
