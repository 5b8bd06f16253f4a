"""Making words legible: which ink, and the least backing that reaches the contrast asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess import contrast, gradients, render
from deployments.postprocess.compose import Paint, paint
from deployments.postprocess.contrast import Colour
from deployments.postprocess.geometry import Rect
from deployments.postprocess.glass import frost
from deployments.postprocess.gradients import Ink
from deployments.postprocess.palette import Palette
from deployments.postprocess.render import Tile
from deployments.postprocess.words import Words, begins_layer, dress

PLATE_PADDING = 0.024  # of the canvas's short side
_RADIUS = 0.022
_RESERVE = 1.02  # over the target, for samples and rounding
_SHADOW_LIMIT, _SCRIM_LIMIT = 0.75, 0.72  # alphas above which the next backing looks better
_SCRIM_COVER = 0.66  # a scrim over more of the canvas than this is a veil: take a plate
_LARGE = 0.06  # of the short side: words that read well over a shadow alone
_CALM = 0.08  # deviation of luminance below which any words do
_OUTLINE_EM, _SHADOW_EM = 0.05, 0.1
_GLASS_TINT = 0.14  # alpha below which frosted glass does not look like a pane


@dataclass(frozen=True, slots=True)
class Backed:
    """What was laid under words: the kind, its alpha (0 to 1), and the words with their inks."""

    kind: str
    alpha: float
    words: tuple[Words, ...]
    inks: tuple[Ink, ...]


def back(
    pixels: NDArray[np.uint8],
    words: Sequence[Words],
    kind: str,
    target: float,
    extent: Rect,
    scrim_allowed: bool,
    palette: Palette,
    rotate: float = 0.0,
) -> Backed:
    """Lay the least backing of `kind` on `pixels`, in place, so that p10 >= target.

    extent: the box of the whole stack, which a plate or scrim spans; a plate or glass is turned
    by `rotate` degrees about its middle. `auto` takes the first that suffices of none, shadow
    (light ink only), scrim, plate. Where `kind` cannot reach the target, its strongest form is
    laid; the caller measures.
    """
    goal = target * _RESERVE
    if kind == "glass":
        frost(pixels, _plate(pixels, extent, rotate))
    inks = _inks(pixels, words, target, palette)
    words = dress(words, inks)
    grounds = np.concatenate([word.ground(pixels) for word in words])
    light = _wants_dark(inks, goal)
    colour = _tint(grounds, dark=light)
    if kind == "auto":
        kind = _choose(
            pixels, words, inks, colour, goal, extent.turned(rotate), light, scrim_allowed
        )
    layers, alpha = _layers(pixels, words, inks, kind, colour, goal, extent, rotate)
    for tile in layers:
        paint(pixels, Paint(tile, colour, alpha))
    return Backed(kind, alpha, tuple(words), inks)


def _choose(
    pixels: NDArray[np.uint8],
    words: Sequence[Words],
    inks: Sequence[Ink],
    colour: Colour,
    goal: float,
    extent: Rect,
    light: bool,
    scrim_allowed: bool,
) -> str:
    measured = [
        contrast.p10(word.seen(pixels), word.tones(ink))
        for word, ink in zip(words, inks, strict=True)
    ]
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
    inks: Sequence[Ink],
    kind: str,
    colour: Colour,
    goal: float,
    extent: Rect,
    rotate: float,
) -> tuple[list[Tile], float]:
    """The masks of a backing, each to be painted once, and their common alpha."""
    if kind == "none":
        return [], 0.0
    first = [number for number, word in enumerate(words) if begins_layer(words, number)]
    if kind == "outline":
        return [_outline(words[number]) for number in first], 1.0
    if kind == "shadow":
        shadows = _shadows(words)
        alpha = _alpha(pixels, words, inks, shadows, colour, goal) or 1.0
        return [shadows[number] for number in first], alpha
    if kind == "scrim":
        tile = _scrim(pixels, extent.turned(rotate))[0]
    else:
        tile = _plate(pixels, extent, rotate)
    alpha = _alpha(pixels, words, inks, [tile] * len(words), colour, goal) or 1.0
    return [tile], max(alpha, _GLASS_TINT) if kind == "glass" else alpha


def _inks(
    pixels: NDArray[np.uint8], words: Sequence[Words], target: float, palette: Palette
) -> tuple[Ink, ...]:
    """The words' own fills; one common ink for those that have none, and the accent for those
    whose role wants it, where it reads well enough.

    The common ink is the first of the palette's that reaches `target`, else white or a dark tint.
    """
    goal = target * _RESERVE
    seen = [word.seen(pixels) for word in dress(words, [None] * len(words))]
    free = [ground for word, ground in zip(words, seen, strict=True) if word.fill == "auto"]
    shared = contrast.WHITE
    if free:
        ground = np.concatenate(free)
        fallback = contrast.choose_ink(ground, contrast.WHITE, _tint(ground, dark=True), target)
        reaching = (ink for ink in palette.inks if contrast.p10(ground, ink) >= goal)
        shared = next(reaching, fallback)
    inks: list[Ink] = []
    for word, ground in zip(words, seen, strict=True):
        accent = palette.accent if word.text.item.style.ink == "accent" else None
        if word.fill != "auto":
            inks.append(word.lay(word.fill))
        elif accent and contrast.p10(ground, accent) >= goal:
            inks.append(accent)
        else:
            inks.append(shared)
    return tuple(inks)


def _wants_dark(inks: Sequence[Ink], goal: float) -> bool:
    """Whether a dark backing suits `inks`: light ones, and those that a light one cannot cure."""
    colours = [colour for ink in inks for colour in gradients.ends(ink)]
    if float(np.mean([contrast.luminance(np.array(one, np.uint8)) for one in colours])) > 0.4:
        return True
    on_light, on_dark = (
        min(contrast.between(colour, ground) for colour in colours)
        for ground in (contrast.WHITE, contrast.BLACK)
    )
    return on_light < goal and on_dark > on_light


def _tint(ground: NDArray[np.uint8], dark: bool) -> Colour:
    """Nearly black or nearly white, with a breath of the ground's own colour."""
    mean = ground.reshape(-1, 3).mean(axis=0)
    tinted = mean * 0.09 + 6 if dark else 255 - (255 - mean) * 0.05
    red, green, blue = (int(channel) for channel in tinted)
    return red, green, blue


def _alpha(
    pixels: NDArray[np.uint8],
    words: Sequence[Words],
    inks: Sequence[Ink],
    tiles: Sequence[Tile],
    colour: Colour,
    goal: float,
    limit: float = 1.0,
) -> float | None:
    """The least alpha at which every layer reaches `goal`; None beyond `limit`."""
    needed = 0.0
    for word, ink, tile in zip(words, inks, tiles, strict=True):
        ground, tones = word.seen(pixels), word.tones(ink)
        if contrast.p10(ground, tones) >= goal:
            continue
        mask, tint = word.seen_through(tile), word.tinted(colour)
        alpha = contrast.least_alpha(ground, mask, tint, tones, goal, limit)
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
    """One a word, the parts of a layer sharing theirs."""
    shadows: list[Tile] = []
    for number, word in enumerate(words):
        if begins_layer(words, number):
            reach = max(3.0, _SHADOW_EM * word.text.setting.size)
            shadows.append(render.shadow(word.whole, reach))
        else:
            shadows.append(shadows[-1])
    return shadows


def _outline(word: Words) -> Tile:
    text, size = word.text, word.text.setting.size
    reach = max(2.0, _OUTLINE_EM * size) + text.item.stroke * size
    return render.outline(text.setting, text.x, text.y, reach)


def _plate(pixels: NDArray[np.uint8], extent: Rect, rotate: float) -> Tile:
    height, width = pixels.shape[:2]
    short = min(height, width)
    box = extent.grow(PLATE_PADDING * short)
    if not rotate:
        box = box.clip(Rect(0, 0, width, height))
    return render.rounded(box.x, box.y, box.width, box.height, _RADIUS * short, rotate)


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
