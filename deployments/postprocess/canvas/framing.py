"""Where a picture lies on its placement's canvas: how large, how cut, where it leaves room."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas.cost_map import map_costs
from deployments.postprocess.canvas.geometry import Rect, union
from deployments.postprocess.canvas.saliency import subject_box

SIDES = ("top", "bottom", "left", "right")
_PLAIN = 10.0  # mean deviation along an edge, in levels, below which it can be continued unseen
_SUBJECT_SHARE = 0.75  # of the canvas, that a subject on plain ground may fill
_BESIDE_WORDS = (0.46, 0.44)  # of the canvas, along its long and its short side
# How far along a wide canvas, down a tall one (a story, whose ends stay clear) and down any other
# a subject moves to leave room for words.
_ROOM_WIDE, _ROOM_TALL, _ROOM = 0.68, 0.6, 0.67
# A photograph is cut, not extended, if so much of it stays, or of what draws the eye in it.
_MOSTLY, _HALF = 0.6, 0.5
_STRIPS = 41  # places that a cut at the sides is tried at
_CORE = 0.4  # what the middle half of a strip counts for, beside the whole
_HEADROOM = 0.03  # of the canvas, above a subject that is taller than it: its head is at its top


def frame(
    picture: NDArray[np.uint8],
    width: int,
    height: int,
    protect: Sequence[Rect] = (),
    with_words: bool = False,
) -> Rect:
    """Where `picture`, uint8 (h, w, 3), lies on a canvas of width x height, in its pixels.

    It may stick out (and is cut there) or leave a gap (and is extended there). On plain ground
    the subject takes part of the canvas only, and `with_words` moves aside for them unless it
    already stands aside. A photograph is cut around its subject as long as most of it stays,
    otherwise extended; at its sides it is cut where most of what draws the eye stays. Boxes of
    `protect`, in pixels of the picture, are never cut.
    """
    rows, columns = picture.shape[:2]
    across, down = width / columns, height / rows
    cover, contain = max(across, down), min(across, down)
    whole = Rect(0, 0, columns, rows)
    subject = subject_box(picture)
    kept = union([box.clip(whole) for box in protect]) if protect else None
    if subject is not None and with_words and kept is None and is_plain(picture, SIDES):
        return _aside(subject, columns, rows, width, height)
    focus = kept or subject or whole
    everywhere = focus.width > 0.9 * columns and focus.height > 0.9 * rows
    ends = ("top", "bottom") if across < down else ("left", "right")
    mostly = everywhere or contain / cover >= _MOSTLY
    if is_plain(picture, ends):
        scale = min(cover, _filling(focus, width, height, _SUBJECT_SHARE))
    elif kept is None and focus.width * cover > width and across < down:
        middle, share = _strip(picture, width / cover)
        if mostly or share >= _HALF:
            focus, scale = Rect(middle, 0, 0, rows), cover
        else:
            scale = _filling(focus, width, height, 1.0)
    elif kept is None and mostly:
        scale = cover
    else:
        scale = min(cover, _filling(focus, width, height, 1.0))
    scale = max(contain, scale)
    x = _start(width, columns * scale, focus.x * scale, focus.width * scale)
    y = _start(height, rows * scale, focus.y * scale, focus.height * scale)
    return Rect(x, y, columns * scale, rows * scale)


def is_plain(picture: NDArray[np.uint8], sides: Sequence[str]) -> bool:
    """Whether each of the named edges has nearly one colour, and all of them together."""
    _, deviation = cv2.meanStdDev(edges(picture, sides))
    return float(deviation.mean()) < _PLAIN


def edges(picture: NDArray[np.uint8], sides: Sequence[str]) -> NDArray[np.uint8]:
    """The outermost two rows or columns of the named sides, uint8 (n, 1, 3)."""
    strips = {
        "top": picture[:2],
        "bottom": picture[-2:],
        "left": picture[:, :2],
        "right": picture[:, -2:],
    }
    return np.concatenate([strips[side].reshape(-1, 1, 3) for side in sides])


def _aside(subject: Rect, columns: int, rows: int, width: int, height: int) -> Rect:
    """Subject and words side by side on a wide canvas, words above on any other."""
    wide = width > 1.2 * height
    along, athwart = _BESIDE_WORDS
    share = (along, 0.8) if wide else (0.8, athwart)
    scale = min(share[0] * width / subject.width, share[1] * height / subject.height)
    middle = (subject.x + subject.width / 2) / columns, (subject.y + subject.height / 2) / rows
    target = [width / 2, height / 2]
    axis = 0 if wide else 1
    room = _ROOM_WIDE if wide else _ROOM_TALL if height > 1.5 * width else _ROOM
    target[axis] = (width, height)[axis] * (room if middle[axis] > 0.4 else 1 - room)
    return Rect(
        target[0] - (subject.x + subject.width / 2) * scale,
        target[1] - (subject.y + subject.height / 2) * scale,
        columns * scale,
        rows * scale,
    )


def _strip(picture: NDArray[np.uint8], width: float) -> tuple[float, float]:
    """The middle of the strip of `width` pixels, as high as `picture`, that draws the eye most,
    above all in its own middle; and its share of what the whole picture draws."""
    rows, columns = picture.shape[:2]
    cost = map_costs(picture)
    lefts = np.linspace(0.0, columns - width, _STRIPS)
    strips = [Rect(left, 0, width, rows) for left in lefts]
    cores = [Rect(left + width / 4, 0, width / 2, rows) for left in lefts]
    pairs = zip(strips, cores, strict=True)
    best = int(np.argmax([cost.mean(strip) + _CORE * cost.mean(core) for strip, core in pairs]))
    whole = cost.mean(Rect(0, 0, columns, rows)) * columns
    return float(lefts[best]) + width / 2, cost.mean(strips[best]) * width / whole


def _filling(box: Rect, width: int, height: int, share: float) -> float:
    """The scale at which `box` takes `share` of the canvas."""
    return share * min(width / max(box.width, 1.0), height / max(box.height, 1.0))


def _start(room: float, length: float, focus: float, extent: float) -> float:
    """Where a side of `length` starts in `room`, its focus in the middle; a focus longer than
    the room shows its beginning. A shorter side stands in the middle."""
    if length <= room:
        return (room - length) / 2
    wanted = (room - extent) / 2 - focus if extent < room else _HEADROOM * room - focus
    return min(0.0, max(room - length, wanted))
