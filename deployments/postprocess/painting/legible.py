"""Making words legible: which ink, and the least backing that reaches the contrast asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import Rect, Tile, contrast, masks
from deployments.postprocess.design import Palette
from deployments.postprocess.painting.effects import Extent, frost
from deployments.postprocess.painting.paint import Ink, Paint, ends, paint
from deployments.postprocess.painting.word_masks import WordMasks, begins_layer, dress
from deployments.postprocess.schema import (
    BLACK,
    WHITE,
    Colour,
    Colours,
    brightness,
    contrast_between,
)
from deployments.postprocess.typesetting import drawing

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
    words: tuple[WordMasks, ...]
    inks: tuple[Ink, ...]


def back(
    pixels: NDArray[np.uint8],
    words: Sequence[WordMasks],
    kind: str,
    target: float,
    extent: Rect,
    scrim_allowed: bool,
    palette: Palette,
    within: Rect,
    rotate: float = 0.0,
    protect: tuple[Rect, ...] = (),
) -> Backed:
    """Lay the least backing of `kind` on `pixels`, in place, so that p10 >= target.

    extent: the box of the whole stack, which a plate or scrim spans; a plate or glass is turned
    by `rotate` degrees about its middle, and else stays `within`. protect: what a scrim fades out
    before. `auto` takes the first that suffices of none, shadow (light ink only), scrim, plate.
    Where `kind` cannot reach the target, its strongest form is laid; the caller measures.
    """
    height, width = pixels.shape[:2]
    span = Extent(extent, rotate, height, width, within, protect)
    if kind == "glass":
        frost(pixels, span.plate())
    goal = target * _RESERVE
    grounds = [word.ground(pixels) for word in words]
    inks = _inks(grounds, words, target, palette)
    words = dress(words, inks)
    dark = _wants_dark(inks, goal)
    colour = _tint(np.concatenate(grounds), dark)
    seen = [word.seen(ground) for word, ground in zip(words, grounds, strict=True)]
    case = _Case(words, seen, inks, colour, goal, span)
    if kind == "auto":
        kind, tiles, alpha = _choose(case, dark, scrim_allowed)
    else:
        tiles, alpha = _strongest(case, kind)
    for tile in tiles:
        paint(pixels, Paint(tile, colour, alpha))
    return Backed(kind, alpha, tuple(words), inks)


@dataclass(frozen=True, slots=True)
class _Case:
    """Words on their grounds (n, 3), shadows and stroke laid over them, before a backing of
    `colour` brings them to `goal`."""

    words: Sequence[WordMasks]
    grounds: Sequence[NDArray[np.uint8]]
    inks: tuple[Ink, ...]
    colour: Colour
    goal: float
    extent: Extent

    @property
    def pairs(self) -> Iterator[tuple[WordMasks, NDArray[np.uint8], Colours]]:
        """The words, their ground and what their ink looks like there."""
        for word, ground, ink in zip(self.words, self.grounds, self.inks, strict=True):
            yield word, ground, word.tones(ink)

    def legible(self) -> bool:
        return all(contrast.p10(ground, tones) >= self.goal for _, ground, tones in self.pairs)

    def alpha(self, tiles: Sequence[Tile], limit: float = 1.0) -> float | None:
        """The least alpha of `tiles` at which all are legible; None beyond `limit`.

        One tile for each words; one alone lies under all.
        """
        shared = tiles if len(tiles) == len(self.words) else [tiles[0]] * len(self.words)
        needed = 0.0
        for (word, ground, tones), tile in zip(self.pairs, shared, strict=True):
            mask, tint = word.seen_through(tile), word.tinted(self.colour)
            alpha = contrast.least_alpha(ground, mask, tint, tones, self.goal, limit, needed)
            if alpha is None:
                return None
            needed = alpha
        return max(needed, 1 / 255)

    def reachable(self, limit: float) -> bool:
        """Whether the fullest mask would do: a cheap test before masks are drawn."""
        for word, ground, tones in self.pairs:
            full = np.full(len(ground), 255, np.uint8)
            painted = masks.blend_row(ground, full, word.tinted(self.colour), limit)
            if contrast.p10(painted, tones) < self.goal:
                return False
        return True


def _choose(case: _Case, light: bool, scrim_allowed: bool) -> tuple[str, list[Tile], float]:
    if case.legible():
        return "none", [], 0.0
    if light and _suit_shadows(case) and case.reachable(_SHADOW_LIMIT):
        shadows = _shadows(case)
        alpha = case.alpha(shadows, _SHADOW_LIMIT)
        if alpha is not None:
            return "shadow", _each_once(shadows), alpha
    if scrim_allowed:
        tile, cover = case.extent.scrim()
        alpha = case.alpha([tile], _SCRIM_LIMIT) if cover <= _SCRIM_COVER else None
        if alpha is not None:
            return "scrim", [tile], alpha
    return "plate", *_strongest(case, "plate")


def _strongest(case: _Case, kind: str) -> tuple[list[Tile], float]:
    """The masks of a backing, each to be painted once, and their common alpha, 1 if need be."""
    if kind == "none":
        return [], 0.0
    if kind == "outline":
        words = case.words
        first = [word for number, word in enumerate(words) if begins_layer(words, number)]
        return [_outline(word) for word in first], 1.0
    if kind == "shadow":
        tiles = _shadows(case)
    elif kind == "scrim":
        tiles = [case.extent.scrim()[0]]
    else:
        tiles = [case.extent.plate()]
    alpha = case.alpha(tiles) or 1.0
    return _each_once(tiles), max(alpha, _GLASS_TINT) if kind == "glass" else alpha


def _each_once(tiles: Sequence[Tile]) -> list[Tile]:
    """The parts of a layer share their tiles, which are to be painted once."""
    return list({id(tile): tile for tile in tiles}.values())


def _inks(
    grounds: Sequence[NDArray[np.uint8]],
    words: Sequence[WordMasks],
    target: float,
    palette: Palette,
) -> tuple[Ink, ...]:
    """The words' own fills; one common ink for those that have none, and the accent for those
    whose role wants it, where it reads well enough.

    The common ink is the first of the palette's that reaches `target`, else white or a dark tint.
    """
    goal = target * _RESERVE
    dressed = dress(words, [None] * len(words))
    seen = [word.seen(ground) for word, ground in zip(dressed, grounds, strict=True)]
    free = [ground for word, ground in zip(words, seen, strict=True) if word.fill == "auto"]
    shared = WHITE
    if free:
        ground = np.concatenate(free)
        fallback = contrast.choose_ink(ground, WHITE, _tint(ground, dark=True), target)
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
    colours = [colour for ink in inks for colour in ends(ink)]
    if float(np.mean([brightness(one) for one in colours])) > 0.4:
        return True
    on_light, on_dark = (
        min(contrast_between(colour, ground) for colour in colours) for ground in (WHITE, BLACK)
    )
    return on_light < goal and on_dark > on_light


def _tint(ground: NDArray[np.uint8], dark: bool) -> Colour:
    """Nearly black or nearly white, with a breath of the ground's own colour."""
    mean = np.array(cv2.mean(ground[None])[:3])
    tinted = mean * 0.09 + 6 if dark else 255 - (255 - mean) * 0.05
    red, green, blue = (int(channel) for channel in tinted)
    return red, green, blue


def _suit_shadows(case: _Case) -> bool:
    """Small words on busy ground stay hard to read over a mere shadow, whatever the ratio."""
    large = _LARGE * min(case.extent.height, case.extent.width)
    return all(
        word.text.setting.size >= large or float(contrast.luminance(ground).std()) < _CALM
        for word, ground, _ in case.pairs
    )


def _shadows(case: _Case) -> list[Tile]:
    """One for each words, the parts of a layer sharing theirs."""
    shadows: list[Tile] = []
    for number, word in enumerate(case.words):
        if begins_layer(case.words, number):
            reach = max(3.0, _SHADOW_EM * word.text.setting.size)
            shadows.append(masks.shadow(word.whole, reach))
        else:
            shadows.append(shadows[-1])
    return shadows


def _outline(word: WordMasks) -> Tile:
    text, size = word.text, word.text.setting.size
    reach = max(2.0, _OUTLINE_EM * size) + text.item.stroke * size
    return drawing.outline(text.setting, text.x, text.y, reach)
