"""The words of one fill: their masks, the pixels that a reader needs, and what lies under them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import Tile, contrast, masks
from deployments.postprocess.design import SetText
from deployments.postprocess.painting import effects
from deployments.postprocess.painting.paint import Ink, Paint, lay_fill, tones
from deployments.postprocess.schema import Colour, Colours, Fill
from deployments.postprocess.typesetting import drawing


@dataclass(frozen=True, slots=True)
class WordMasks:
    """One layer's words of one fill with what is needed to judge them.

    whole: the glyphs of all the layer's words. rows, columns: the canvas pixels under and around
    the glyphs (an even sample of them). under: the layer's shadows and stroke.
    """

    text: SetText
    part: int
    glyphs: Tile
    whole: Tile
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    under: tuple[Paint, ...] = ()

    @property
    def fill(self) -> Fill:
        return self.text.item.fills[self.part]

    def lay(self, fill: Fill) -> Ink:
        """`fill`, which is not "auto", over these words."""
        setting = self.text.setting
        box = drawing.letters(setting, self.text.x, self.text.y, self.part)
        return lay_fill(fill, box, setting.rotate)

    def ground(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (n, 3): the ground as it is."""
        where = self.rows * pixels.shape[1] + self.columns
        return np.asarray(pixels.reshape(-1, 3).take(where, axis=0), np.uint8)

    def tinted(self, colour: Colour) -> Colours:
        """What a backing of `colour` will look like behind shadows and stroke.

        All of these are mixtures, so mixing `seen` with it gives what the eye will see.
        """
        if not self.under:
            return colour
        return self.seen(np.full((len(self.rows), 3), colour, np.uint8))

    def tones(self, ink: Ink) -> Colours:
        return tones(ink, self.rows, self.columns)

    def seen(self, ground: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (n, 3): `ground` as it will be behind shadows and stroke."""
        for effect in self.under:
            colours = tones(effect.colour, self.rows, self.columns)
            ground = masks.blend_row(ground, self.seen_through(effect.tile), colours, effect.alpha)
        return ground

    def seen_through(self, tile: Tile) -> NDArray[np.uint8]:
        """The values of a mask at this layer's pixels; 0 beyond its borders."""
        rows, columns = self.rows - tile.y, self.columns - tile.x
        height, width = tile.mask.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        values = np.zeros(len(rows), np.uint8)
        values[inside] = tile.mask[rows[inside], columns[inside]]
        return values


def read(text: SetText, height: int, width: int) -> list[WordMasks]:
    """The words of each fill: their masks and the pixels that a reader's eye needs."""
    setting, x, y = text.setting, text.x, text.y
    whole = drawing.glyphs(setting, x, y)
    parts = sorted({run.part for line in setting.lines for run in line.runs}) or [0]
    if len(parts) == 1:
        return [_judged(text, parts[0], whole, whole, height, width)]
    return [
        _judged(text, part, drawing.glyphs(setting, x, y, part), whole, height, width)
        for part in parts
    ]


def _judged(
    text: SetText, part: int, tile: Tile, whole: Tile, height: int, width: int
) -> WordMasks:
    radius = max(2, round(0.06 * text.setting.size))
    pad = radius + 1
    near = masks.neighbourhood(masks.padded(tile.mask, pad), radius)
    if tile.mask.max() < 128:  # strokes thinner than half a pixel: judge all around them
        near = np.ones_like(near)
    # Cut to the canvas before the pixels are counted out.
    left, top = tile.x - pad, tile.y - pad
    near = near[max(0, -top) : height - top, max(0, -left) : width - left]
    rows, columns = np.divmod(contrast.sample(np.flatnonzero(near)), near.shape[1])
    return WordMasks(text, part, tile, whole, rows + max(0, top), columns + max(0, left))


def dress(words: Sequence[WordMasks], inks: Sequence[Ink | None]) -> list[WordMasks]:
    """The words with their layers' shadows and strokes; a stroke `auto` suits the first ink."""
    dressed: list[WordMasks] = []
    for word, ink in zip(words, inks, strict=True):
        if dressed and dressed[-1].text is word.text:
            under = dressed[-1].under
        else:
            under = effects.under(word.text, word.whole, ink)
        dressed.append(replace(word, under=under))
    return dressed


def begins_layer(words: Sequence[WordMasks], number: int) -> bool:
    """Whether the word of this number is the first part of its layer."""
    return number == 0 or words[number].text is not words[number - 1].text
