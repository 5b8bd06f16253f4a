"""An upload or a kept picture fitted to the canvas that it is drawn on: cropped, padded, masked."""

import hashlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.errors import InvalidValue
from deployments.handover import Given
from deployments.postprocess.intake.cutout import cut_out
from deployments.postprocess.intake.decoding import Picture, decode, decode_mask
from deployments.postprocess.intake.limits import IntakeLimits
from deployments.postprocess.intake.segmentation import Segmenter

_STRAY = 12  # levels from an end of a mask that are its: compression strews them
_SLACK = 1e-6  # pixels, of rounding
_MUCH_SHOWN = 0.75  # of a picture; what loses more to the canvas' aspect is told of


class Fitted(NamedTuple):
    """A picture and its mask on their canvas, as of `Given`."""

    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None


def fit_upload(
    image: bytes,
    mask: bytes | None,
    width: int | None,
    height: int | None,
    fit: Literal["crop", "pad"],
    sizes: Sequence[tuple[int, int]],
    limits: IntakeLimits,
    keep: Literal["subject"] | None = None,
    segmenter: Segmenter | None = None,
) -> Given:
    """Decode `image` and `mask` and fit both to width x height, or, where these are None, to the
    entry of `sizes` (width, height) of the nearest aspect ratio.

    A mask's transparent pixels are repainted; in a mask without transparency its white ones; what
    lies between, by so much. Without a mask, the picture's own transparent pixels are. `crop` fills
    the canvas and cuts at the middle; `pad` shows all and continues the edges, which are repainted
    where there is a mask. `keep` "subject" repaints all but the subject: what the picture's own
    transparency leaves, or what `segmenter`, or without one its colour, tells from its ground.
    Raises UnsupportedFile, TooLarge or InvalidValue with param "image", "mask", "keep" or "size".
    """
    picture = decode(image, "image", limits)
    columns, rows = picture.image.size
    repaint = None if picture.alpha is None else _levels(255 - picture.alpha)
    notes = picture.warnings
    if keep and mask is not None:
        raise InvalidValue(
            "keep: the mask says already what is kept; give one of them", "keep", "contradiction"
        )
    if mask is not None:
        repaint = _repaint(decode_mask(mask, "mask", limits), rows, columns)
    elif repaint is not None and repaint.any():
        notes += ("the picture's transparent parts are taken as the mask",)
    elif keep:
        repaint, doubts = _around_subject(np.asarray(picture.image), segmenter)
        notes += doubts
    else:
        repaint = None
    canvas = _canvas(width, height, columns, rows, sizes)
    if fit == "crop":
        notes += _lost(columns, rows, canvas)
    fitted = (_crop if fit == "crop" else _pad)(picture.image, repaint, canvas)
    if fitted.mask is not None and not fitted.mask.any():
        raise InvalidValue(
            "The mask repaints nothing of what the canvas shows. Make transparent (or, in a mask "
            "without transparency, white) what is to be repainted.",
            "mask" if mask is not None else "image",
            "empty_mask",
        )
    return Given(fitted.picture, fitted.mask, notes, _digest(fitted, notes))


def _lost(columns: int, rows: int, canvas: tuple[int, int]) -> tuple[str, ...]:
    """What a crop to the canvas leaves out of a picture, where that is much."""
    width, height = canvas
    shown = min(width * rows, height * columns) / max(width * rows, height * columns)
    if shown >= _MUCH_SHOWN:
        return ()
    return (
        f"fit: only the middle {shown:.0%} of the {columns}x{rows} picture is on the {width}x"
        f'{height} canvas; send fit "pad" to have all of it, or ask for another size',
    )


def _around_subject(
    rgb: NDArray[np.uint8], segmenter: Segmenter | None
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The mask that repaints all but the subject, and what is doubtful about it."""
    found = cut_out(rgb, segmenter)
    if found is None:
        raise InvalidValue(
            "keep: no subject can be told from the picture's ground; send a mask",
            "keep",
            "no_subject",
        )
    repaint = _levels(255 - found.alpha)
    if found.doubt is None:
        return repaint, ()
    return repaint, (f"keep: {found.doubt}: the subject may be cut out badly; send a mask",)


def _digest(fitted: Fitted, notes: tuple[str, ...]) -> str:
    found = hashlib.sha256(repr((fitted.picture.shape, fitted.mask is None, notes)).encode())
    found.update(np.ascontiguousarray(fitted.picture).data)
    if fitted.mask is not None:
        found.update(np.ascontiguousarray(fitted.mask).data)
    return found.hexdigest()


def _canvas(
    width: int | None, height: int | None, columns: int, rows: int, sizes: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    if width is not None and height is not None:
        if width < 1 or height < 1:
            raise InvalidValue(f"A canvas of {width}x{height} holds nothing.", "size", "bad_size")
        return width, height
    if width is not None or height is not None:
        raise InvalidValue("Give both width and height, or neither.", "size", "bad_size")
    ratio = np.log(columns / rows)
    return min(sizes, key=lambda size: abs(float(np.log(size[0] / size[1]) - ratio)))


def _repaint(mask: Picture, rows: int, columns: int) -> NDArray[np.uint8]:
    width, height = mask.image.size
    if (height, width) != (rows, columns):
        raise InvalidValue(
            f"The mask is {width}x{height} but the image is {columns}x{rows} (both upright); "
            "send a mask of the image's size.",
            "mask",
            "mask_size_mismatch",
        )
    if mask.alpha is not None:
        return _levels(255 - mask.alpha)
    return _levels(np.asarray(mask.image.convert("L")))


def _levels(repaint: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How much to repaint, 0 to 255, without strays."""
    table = np.arange(256, dtype=np.uint8)
    table[:_STRAY], table[256 - _STRAY :] = 0, 255
    return cv2.LUT(repaint, table).astype(np.uint8, copy=False)


def _crop(image: Image.Image, repaint: NDArray[np.uint8] | None, canvas: tuple[int, int]) -> Fitted:
    columns, rows = image.size
    scale = max(canvas[0] / columns, canvas[1] / rows)
    cut_width, cut_height = min(columns, canvas[0] / scale), min(rows, canvas[1] / scale)
    left, top = (columns - cut_width) / 2, (rows - cut_height) / 2
    box = (left, top, left + cut_width, top + cut_height)
    return Fitted(_resize(image, canvas, box), _resize_mask(repaint, canvas, box))


def _pad(image: Image.Image, repaint: NDArray[np.uint8] | None, canvas: tuple[int, int]) -> Fitted:
    columns, rows = image.size
    scale = min(canvas[0] / columns, canvas[1] / rows)
    width = min(canvas[0], max(1, round(columns * scale)))
    height = min(canvas[1], max(1, round(rows * scale)))
    left, top = (canvas[0] - width) // 2, (canvas[1] - height) // 2
    borders = ((top, canvas[1] - height - top), (left, canvas[0] - width - left))
    box = (0.0, 0.0, float(columns), float(rows))
    picture = np.pad(_resize(image, (width, height), box), (*borders, (0, 0)), mode="edge")
    mask = _resize_mask(repaint, (width, height), box)
    padded = None if mask is None else np.pad(mask, borders, constant_values=255)
    return Fitted(picture, padded)


def _resize(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    return np.array(image.resize(size, Image.Resampling.LANCZOS, box=box), dtype=np.uint8)


def _resize_mask(
    repaint: NDArray[np.uint8] | None,
    size: tuple[int, int],
    box: tuple[float, float, float, float],
) -> NDArray[np.uint8] | None:
    """Each of fewer pixels is repainted as much as that part of it which is most."""
    if repaint is None:
        return None
    left, top, right, bottom = box
    if (right - left) / size[0] < 1:
        image = Image.fromarray(repaint)
        return np.array(image.resize(size, Image.Resampling.BILINEAR, box=box))
    return _most(_most(repaint, top, bottom, size[1]).T, left, right, size[0]).T


def _most(levels: NDArray[np.uint8], first: float, last: float, parts: int) -> NDArray[np.uint8]:
    """The highest level of each of so many equal parts of the rows from `first` to `last`."""
    edges = np.linspace(first, last, parts + 1)
    starts = np.floor(edges[:-1] + _SLACK).astype(int)
    ends = np.ceil(edges[1:] - _SLACK).astype(int)
    padded = np.pad(levels, ((0, 1), (0, 0)))  # for the last end, which is no row
    return np.maximum.reduceat(padded, np.column_stack([starts, ends]).ravel(), axis=0)[::2]
