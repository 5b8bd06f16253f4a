"""Making words legible: which ink, and the least backing that reaches the contrast asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess import contrast, render
from deployments.postprocess.compose import Paint, paint
from deployments.postprocess.contrast import Colour
from deployments.postprocess.geometry import Rect
from deployments.postprocess.palette import Palette
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

    rows, columns: the canvas pixels under and around the glyphs (a sample of at most 16,000).
    """

    text: SetText
    glyphs: Tile
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def ground(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return pixels[self.rows, self.columns]

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
    near = contrast.neighbourhood(np.pad(tile.mask, pad), radius)
    if tile.mask.max() < 128:  # strokes thinner than half a pixel: judge all around them
        near = np.ones_like(near)
    rows, columns = np.nonzero(near)
    rows, columns = rows + tile.y - pad, columns + tile.x - pad
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return Words(text, tile, contrast.sample(rows[inside]), contrast.sample(columns[inside]))


def back(
    pixels: NDArray[np.uint8],
    words: Sequence[Words],
    kind: str,
    target: float,
    extent: Rect,
    scrim_allowed: bool,
    palette: Palette,
) -> Backed:
    """Lay the least backing of `kind` on `pixels`, in place, so that p10 >= target.

    extent: the box of the whole stack, which a plate or scrim spans. `auto` takes the first that
    suffices of none, shadow (light ink only), scrim, plate. Where `kind` cannot reach the target,
    its strongest form is laid; the caller measures.
    """
    inks = _inks(pixels, words, target, palette)
    grounds = np.concatenate([word.ground(pixels) for word in words])
    light = float(np.mean([contrast.luminance(np.array(ink, np.uint8)) for ink in inks])) > 0.4
    colour = _tint(grounds, dark=light)
    goal = target * _RESERVE
    if kind == "auto":
        kind = _choose(pixels, words, inks, colour, goal, extent, light, scrim_allowed)
    layers, alpha = _layers(pixels, words, inks, kind, colour, goal, extent)
    for tile in layers:
        paint(pixels, Paint(tile, colour, alpha))
    return Backed(kind, alpha, inks)


def _choose(
    pixels: NDArray[np.uint8],
    words: Sequence[Words],
    inks: Sequence[Colour],
    colour: Colour,
    goal: float,
    extent: Rect,
    light: bool,
    scrim_allowed: bool,
) -> str:
    measured = [contrast.p10(w.ground(pixels), ink) for w, ink in zip(words, inks, strict=True)]
    if min(measured) >= goal:
        return "none"
    if light and all(_suits_shadow(pixels, word) for word in words):
        alpha = _alpha(pixels, words, inks, _shadows(words), colour, goal, _SHADOW_LIMIT)
        if alpha is not None:
            return "shadow"
    if scrim_allowed:
        tile, cover = _scrim(pixels, extent)
        if cover <= _SCRIM_COVER and _alpha(
            pixels, words, inks, [tile] * len(words), colour, goal, _SCRIM_LIMIT
        ):
            return "scrim"
    return "plate"


def _layers(
    pixels: NDArray[np.uint8],
    words: Sequence[Words],
    inks: Sequence[Colour],
    kind: str,
    colour: Colour,
    goal: float,
    extent: Rect,
) -> tuple[list[Tile], float]:
    """The masks of a backing, each to be painted once, and their common alpha."""
    if kind == "none":
        return [], 0.0
    if kind == "outline":
        return [_outline(word) for word in words], 1.0
    if kind == "shadow":
        shadows = _shadows(words)
        return shadows, _alpha(pixels, words, inks, shadows, colour, goal) or 1.0
    tile = _scrim(pixels, extent)[0] if kind == "scrim" else _plate(pixels, extent)
    return [tile], _alpha(pixels, words, inks, [tile] * len(words), colour, goal) or 1.0


def _inks(
    pixels: NDArray[np.uint8], words: Sequence[Words], target: float, palette: Palette
) -> tuple[Colour, ...]:
    """The layers' own fills; one common ink for those that have none, and the accent for those
    whose role wants it, where it reads well enough.

    The common ink is the first of the palette's that reaches `target`, else white or a dark tint.
    """
    free = [word.ground(pixels) for word in words if word.text.item.layer.fill == "auto"]
    shared = contrast.WHITE
    if free:
        ground = np.concatenate(free)
        fallback = contrast.choose_ink(ground, contrast.WHITE, _tint(ground, dark=True), target)
        reaching = (ink for ink in palette.inks if contrast.p10(ground, ink) >= target * _RESERVE)
        shared = next(reaching, fallback)
    inks: list[Colour] = []
    for word in words:
        fill, accent = word.text.item.layer.fill, None
        if fill == "auto" and word.text.item.style.ink == "accent":
            accent = palette.accent
        if accent and contrast.p10(word.ground(pixels), accent) >= target * _RESERVE:
            inks.append(accent)
        else:
            inks.append(shared if fill == "auto" else contrast.parse(fill))
    return tuple(inks)


def _tint(ground: NDArray[np.uint8], dark: bool) -> Colour:
    """Nearly black or nearly white, with a breath of the ground's own colour."""
    mean = ground.reshape(-1, 3).mean(axis=0)
    tinted = mean * 0.09 + 6 if dark else 255 - (255 - mean) * 0.05
    red, green, blue = (int(channel) for channel in tinted)
    return red, green, blue


def _alpha(
    pixels: NDArray[np.uint8],
    words: Sequence[Words],
    inks: Sequence[Colour],
    tiles: Sequence[Tile],
    colour: Colour,
    goal: float,
    limit: float = 1.0,
) -> float | None:
    """The least alpha at which every layer reaches `goal`; None beyond `limit`."""
    needed = 0.0
    for word, ink, tile in zip(words, inks, tiles, strict=True):
        ground = word.ground(pixels)
        if contrast.p10(ground, ink) >= goal:
            continue
        alpha = contrast.least_alpha(ground, word.seen_through(tile), colour, ink, goal, limit)
        if alpha is None:
            return None
        needed = max(needed, alpha)
    return max(needed, 1 / 256)


def _suits_shadow(pixels: NDArray[np.uint8], word: Words) -> bool:
    """Small words on busy ground stay hard to read over a mere shadow, whatever the ratio."""
    height, width = pixels.shape[:2]
    large = word.text.setting.size >= _LARGE * min(height, width)
    return large or float(contrast.luminance(word.ground(pixels)).std()) < _CALM


def _shadows(words: Sequence[Words]) -> list[Tile]:
    return [render.shadow(w.glyphs, max(3.0, _SHADOW_EM * w.text.setting.size)) for w in words]


def _outline(word: Words) -> Tile:
    text = word.text
    return render.outline(text.setting, text.x, text.y, max(2.0, _OUTLINE_EM * text.setting.size))


def _plate(pixels: NDArray[np.uint8], extent: Rect) -> Tile:
    height, width = pixels.shape[:2]
    short = min(height, width)
    box = extent.grow(PLATE_PADDING * short).clip(Rect(0, 0, width, height))
    return render.rounded(box.x, box.y, box.width, box.height, _RADIUS * short)


def _scrim(pixels: NDArray[np.uint8], extent: Rect) -> tuple[Tile, float]:
    """A gradient from the nearest side to beyond the words, and the share of canvas it covers."""
    height, width = pixels.shape[:2]
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
    shape = profile[:, None] if side in ("top", "bottom") else profile[None, :]
    return Tile(np.broadcast_to(shape, (height, width)), 0, 0), reaches[side]
