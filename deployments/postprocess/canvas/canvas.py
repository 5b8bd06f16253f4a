"""A picture brought to a canvas of its own size or a placement's: scaled, cut, or extended."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.postprocess.canvas.framing import edges, frame, is_plain
from deployments.postprocess.canvas.geometry import Rect, Shares
from deployments.postprocess.schema import Extension


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture brought to its placement: uint8 (H, W, 3), and where the picture lies on it."""

    pixels: NDArray[np.uint8]
    picture: Rect

    def from_picture(self, box: Shares) -> Rect:
        """A box, as of `Rect.part`, of the picture in pixels of the canvas, cut at its borders."""
        rows, columns = self.pixels.shape[:2]
        return self.picture.part(box).clip(Rect(0, 0, columns, rows))


def to_placement(
    picture: NDArray[np.uint8],
    width: int,
    height: int,
    protect: Sequence[Rect] = (),
    with_words: bool = False,
    extension: Extension = "auto",
    window: Rect | None = None,
) -> Canvas:
    """Bring `picture`, uint8 (h, w, 3), to width x height as `frame` finds best.

    Scaled by Lanczos, cut where it sticks out and extended where it falls short. A picture of
    that very size stays as it is. `with_words`: leave room for them. `extension`: as of `extend`.
    `window`: the part of the canvas, in its pixels, that the picture is framed for; what lies
    beside it is cut or extended.
    """
    rows, columns = picture.shape[:2]
    if (columns, rows) == (width, height):
        return Canvas(picture.copy(), Rect(0, 0, columns, rows))
    if window is None:
        placed = frame(picture, width, height, protect, with_words)
    else:
        inner = frame(picture, round(window.width), round(window.height), protect)
        placed = inner.move(window.x, window.y)
    return Canvas(_resample(picture, placed, width, height, extension), placed)


def enlarge(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """`picture`, uint8 (h, w, 3), stretched softly to (height, width, 3)."""
    return np.asarray(
        cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8
    )


def extend(
    picture: NDArray[np.uint8],
    top: int,
    bottom: int,
    left: int,
    right: int,
    extension: Extension = "auto",
) -> NDArray[np.uint8]:
    """Continue `picture` by so many pixels.

    blur: by its own mirror image, softened; colour: by the one colour nearest to the edges that
    are continued; auto: plain edges as they are, others by blur.
    """
    rows, columns = picture.shape[:2]
    sides = {"top": top, "bottom": bottom, "left": left, "right": right}
    canvas = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_REPLICATE)
    continued = [side for side, pixels in sides.items() if pixels]
    plain = extension == "auto" and is_plain(picture, continued)
    # Blurred at an eighth of the size, since nothing fine is left in it.
    border = cv2.BORDER_REPLICATE if plain else cv2.BORDER_REFLECT
    small = cv2.resize(
        picture, (max(8, columns // 8), max(8, rows // 8)), interpolation=cv2.INTER_AREA
    )
    if plain:
        small = _with_calm_edges(np.asarray(small, np.uint8))
    padded = cv2.copyMakeBorder(
        small, -(-top // 8), -(-bottom // 8), -(-left // 8), -(-right // 8), border
    )
    soft = cv2.GaussianBlur(padded, (0, 0), max(padded.shape[:2]) / (80 if plain else 40))
    ground = cv2.resize(soft, canvas.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    if extension == "colour":
        ground[:] = np.median(edges(picture, continued), axis=(0, 1))
    weight = np.outer(
        _fade(rows, top, bottom, min(rows, columns) // 30),
        _fade(columns, left, right, min(rows, columns) // 30),
    )[..., None]
    mixed = ground + (canvas.astype(np.float32) - ground) * weight
    return np.asarray(mixed + 0.5, np.float32).astype(np.uint8)


def _resample(
    picture: NDArray[np.uint8], placed: Rect, width: int, height: int, extension: Extension
) -> NDArray[np.uint8]:
    """Draw `picture` at `placed` on a canvas of width x height, extended where it ends."""
    rows, columns = picture.shape[:2]
    left, top = max(0, round(placed.x)), max(0, round(placed.y))
    right, bottom = min(width, round(placed.right)), min(height, round(placed.bottom))
    scale_x, scale_y = columns / placed.width, rows / placed.height
    box = (
        max(0.0, (left - placed.x) * scale_x),
        max(0.0, (top - placed.y) * scale_y),
        min(float(columns), (right - placed.x) * scale_x),
        min(float(rows), (bottom - placed.y) * scale_y),
    )
    inside = np.asarray(
        Image.fromarray(picture).resize(
            (right - left, bottom - top), Image.Resampling.LANCZOS, box=box
        )
    )
    margins = (top, height - bottom, left, width - right)
    return inside.copy() if not any(margins) else extend(inside, *margins, extension)


def _with_calm_edges(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`small`, uint8 (h, w, 3), its outermost pixels softened along their edges.

    Each is drawn out far beyond: a stray one would become a stripe, one at a corner a patch.
    """
    rows, columns = small.shape[:2]
    calm = small.copy()
    for edge in (0, -1):
        calm[edge] = cv2.blur(small[edge][None], (columns // 2 | 1, 1))[0]
        calm[:, edge] = cv2.blur(small[:, edge][None], (rows // 2 | 1, 1))[0]
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        calm[corner] = np.concatenate([calm[corner[0]], calm[:, corner[1]]]).mean(axis=0)
    return calm


def _fade(length: int, before: int, after: int, pixels: int) -> NDArray[np.float32]:
    """1 inside the picture, 0 beyond it, rising over `pixels` at each end that is continued."""
    inside = np.arange(length, dtype=np.float32) + 0.5
    profile = np.ones(length, np.float32)
    for margin, distance in ((before, inside), (after, inside[::-1])):
        if margin:
            ramp = np.clip(distance / max(1, pixels), 0.0, 1.0)
            profile = (profile * ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    return np.pad(profile, (before, after))
