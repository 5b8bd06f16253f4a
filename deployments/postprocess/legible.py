"""Making words legible: which ink, and the least backing that reaches the contrast asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess import contrast, render
from deployments.postprocess.compose import Paint, paint
from deployments.postprocess.contrast import Colour
from deployments.postprocess.geometry import Rect
from deployments.postprocess.render import Tile
from deployments.postprocess.stack import SetText

PLATE_PADDING = 0.024  # of the canvas's short side
_RADIUS = 0.022
_RESERVE = 1.02  # over the target, for samples and rounding
_SHADOW_LIMIT, _SCRIM_LIMIT = 0.75, 0.72  # alphas above which the next backing looks better
_SCRIM_COVER = 0.66  # a scrim over more of the canvas than this is a veil: take a plate
_LARGE = 0.06  # of the short side: words that read well over a shadow alone
_CALM = 0.08  # deviation of luminance below which any words do
_OUTLINE_EM, _SHADOW_EM = 0.05, 0.1


@dataclass(frozen=True, slots=True)
class Words:
    """One layer's words with what is needed to judge them.

    rows, columns: the canvas pixels under and around the glyphs (an even sample of them).
    """

    text: SetText
    glyphs: Tile
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def ground(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        where = self.rows * pixels.shape[1] + self.columns
        return pixels.reshape(-1, 3).take(where, axis=0)

    def seen_through(self, tile: Tile) -> NDArray[np.uint8]:
        """The values of a mask at this layer's pixels; 0 beyond its borders."""
        rows, columns = self.rows - tile.y, self.columns - tile.x
        height, width = tile.mask.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        values = np.zeros(len(rows), np.uint8)
        values[inside] = tile.mask[rows[inside], columns[inside]]
        return values


@dataclass(frozen=True, slots=True)
class Backed:
    """What was laid under words: the kind, its alpha (0 to 1) and the ink of each layer."""

    kind: str
    alpha: float
    inks: tuple[Colour, ...]


def read(text: SetText, height: int, width: int) -> Words:
    """Draw the words' mask and find the pixels that a reader's eye needs."""
    tile = render.glyphs(text.setting, text.x, text.y)
    radius = max(2, round(0.06 * text.setting.size))
    pad = radius + 1
    near = contrast.neighbourhood(cv2.copyMakeBorder(tile.mask, *[pad] * 4, 0), radius)
    if tile.mask.max() < 128:  # strokes thinner than half a pixel: judge all around them
        near = np.ones_like(near)
    # Cut to the canvas before the pixels are counted out.
    left, top = tile.x - pad, tile.y - pad
    near = near[max(0, -top) : height - top, max(0, -left) : width - left]
    rows, columns = np.divmod(contrast.sample(np.flatnonzero(near)), near.shape[1])
    return Words(text, tile, rows + max(0, top), columns + max(0, left))


def back(
    pixels: NDArray[np.uint8],
    words: Sequence[Words],
    kind: str,
    target: float,
    extent: Rect,
    scrim_allowed: bool,
) -> Backed:
    """Lay the least backing of `kind` on `pixels`, in place, so that p10 >= target.

    extent: the box of the whole stack, which a plate or scrim spans. `auto` takes the first that
    suffices of none, shadow (light ink only), scrim, plate. Where `kind` cannot reach the target,
    its strongest form is laid; the caller measures.
    """
    height, width = pixels.shape[:2]
    grounds = [word.ground(pixels) for word in words]
    inks = _inks(words, grounds, target)
    light = float(np.mean([contrast.luminance(np.array(ink, np.uint8)) for ink in inks])) > 0.4
    colour = _tint(np.concatenate(grounds), dark=light)
    case = _Case(words, grounds, inks, colour, target * _RESERVE, height, width)
    if kind == "auto":
        kind, tiles, alpha = _choose(case, extent, light, scrim_allowed)
    else:
        tiles, alpha = _strongest(case, kind, extent)
    for tile in tiles:
        paint(pixels, Paint(tile, colour, alpha))
    return Backed(kind, alpha, inks)


@dataclass(frozen=True, slots=True)
class _Case:
    """Words on their grounds (n, 3), before a backing of `colour` brings them to `goal`."""

    words: Sequence[Words]
    grounds: Sequence[NDArray[np.uint8]]
    inks: tuple[Colour, ...]
    colour: Colour
    goal: float
    height: int
    width: int

    def legible(self) -> bool:
        pairs = zip(self.grounds, self.inks, strict=True)
        return all(contrast.p10(ground, ink) >= self.goal for ground, ink in pairs)

    def alpha(self, tiles: Sequence[Tile], limit: float = 1.0) -> float | None:
        """The least alpha of `tiles`, one a layer, at which all are legible; None beyond `limit`.

        One tile alone lies under all layers.
        """
        shared = tiles if len(tiles) == len(self.words) else [tiles[0]] * len(self.words)
        needed = 0.0
        for word, ground, ink, tile in zip(
            self.words, self.grounds, self.inks, shared, strict=True
        ):
            alpha = contrast.least_alpha(
                ground, word.seen_through(tile), self.colour, ink, self.goal, limit, needed
            )
            if alpha is None:
                return None
            needed = alpha
        return max(needed, 1 / 255)

    def reachable(self, limit: float) -> bool:
        """Whether the fullest mask would do: a cheap test before masks are drawn."""
        for ground, ink in zip(self.grounds, self.inks, strict=True):
            full = np.full((len(ground), 1), 255, np.uint8)
            painted = contrast.blend(ground[:, None], full, self.colour, limit)
            if contrast.p10(painted[:, 0], ink) < self.goal:
                return False
        return True


def _choose(
    case: _Case, extent: Rect, light: bool, scrim_allowed: bool
) -> tuple[str, list[Tile], float]:
    if case.legible():
        return "none", [], 0.0
    if light and _suit_shadows(case) and case.reachable(_SHADOW_LIMIT):
        shadows = _shadows(case)
        alpha = case.alpha(shadows, _SHADOW_LIMIT)
        if alpha is not None:
            return "shadow", shadows, alpha
    if scrim_allowed:
        tile, cover = _scrim(case, extent)
        alpha = case.alpha([tile], _SCRIM_LIMIT) if cover <= _SCRIM_COVER else None
        if alpha is not None:
            return "scrim", [tile], alpha
    return "plate", *_strongest(case, "plate", extent)


def _strongest(case: _Case, kind: str, extent: Rect) -> tuple[list[Tile], float]:
    """The masks of a backing, each to be painted once, and their common alpha, 1 if need be."""
    if kind == "none":
        return [], 0.0
    if kind == "outline":
        return [_outline(word) for word in case.words], 1.0
    if kind == "shadow":
        tiles = _shadows(case)
    elif kind == "scrim":
        tiles = [_scrim(case, extent)[0]]
    else:
        tiles = [_plate(case, extent)]
    return tiles, case.alpha(tiles) or 1.0


def _inks(
    words: Sequence[Words], grounds: Sequence[NDArray[np.uint8]], target: float
) -> tuple[Colour, ...]:
    """The layers' own fills; one common ink, white or a dark tint, for those that have none."""
    fills = [word.text.item.layer.fill for word in words]
    free = [ground for ground, fill in zip(grounds, fills, strict=True) if fill == "auto"]
    shared = contrast.WHITE
    if free:
        ground = np.concatenate(free)
        shared = contrast.choose_ink(ground, contrast.WHITE, _tint(ground, dark=True), target)
    return tuple(shared if fill == "auto" else contrast.parse(fill) for fill in fills)


def _tint(ground: NDArray[np.uint8], dark: bool) -> Colour:
    """Nearly black or nearly white, with a breath of the ground's own colour."""
    mean = np.array(cv2.mean(ground[None])[:3])
    tinted = mean * 0.09 + 6 if dark else 255 - (255 - mean) * 0.05
    red, green, blue = (int(channel) for channel in tinted)
    return red, green, blue


def _suit_shadows(case: _Case) -> bool:
    """Small words on busy ground stay hard to read over a mere shadow, whatever the ratio."""
    large = _LARGE * min(case.height, case.width)
    return all(
        word.text.setting.size >= large or float(contrast.luminance(ground).std()) < _CALM
        for word, ground in zip(case.words, case.grounds, strict=True)
    )


def _shadows(case: _Case) -> list[Tile]:
    return [
        render.shadow(word.glyphs, max(3.0, _SHADOW_EM * word.text.setting.size))
        for word in case.words
    ]


def _outline(word: Words) -> Tile:
    text = word.text
    return render.outline(text.setting, text.x, text.y, max(2.0, _OUTLINE_EM * text.setting.size))


def _plate(case: _Case, extent: Rect) -> Tile:
    short = min(case.height, case.width)
    box = extent.grow(PLATE_PADDING * short).clip(Rect(0, 0, case.width, case.height))
    return render.rounded(box.x, box.y, box.width, box.height, _RADIUS * short)


def _scrim(case: _Case, extent: Rect) -> tuple[Tile, float]:
    """A gradient from the nearest side to beyond the words, and the share of canvas it covers."""
    height, width = case.height, case.width
    reaches = {
        "top": extent.bottom / height,
        "bottom": 1 - extent.y / height,
        "left": extent.right / width,
        "right": 1 - extent.x / width,
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
        return Tile(np.ascontiguousarray(mask), 0, int(first)), reaches[side]
    mask = np.broadcast_to(profile[None, :], (height, len(profile)))
    return Tile(np.ascontiguousarray(mask), int(first), 0), reaches[side]
