"""What the words of one stack stand on, backings and plaques, and the ink that each gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import Rect, contrast, union
from deployments.postprocess.design import Palette, SetText, pill_colours, plaques
from deployments.postprocess.painting import legible
from deployments.postprocess.painting.paint import Ink, Paint, ends, lay_fill, paint
from deployments.postprocess.painting.word_masks import WordMasks, dress, read
from deployments.postprocess.placing import Placed
from deployments.postprocess.schema import BLACK, WHITE, Colour, contrast_between, ink_on

_SHOWS = 1.25  # contrast with its ground at which a plaque of a role's own colour is seen as one


@dataclass(frozen=True, slots=True)
class Inked:
    """Words of one fill with their ink, over a backing whose alpha is 0 to 1."""

    words: WordMasks
    backing: str
    alpha: float
    ink: Ink


def lay(
    pixels: NDArray[np.uint8],
    placed: Placed,
    target: float,
    palette: Palette,
    within: Rect,
    protect: tuple[Rect, ...] = (),
) -> list[Inked]:
    """Lay the backings of one stack on `pixels`, in place; layers of one kind share theirs.
    protect: as of `legible.back`.

    within: what plates and glass do not leave, in pixels. The parts of a layer follow each other.
    """
    height, width = pixels.shape[:2]
    inked: list[Inked] = []
    shared: Ink | None = None
    for kind, members in _sharing(placed.texts):
        words = [word for text in members for word in read(text, height, width)]
        extent, rotate = _extent(placed, members, kind), members[0].setting.rotate
        backed = legible.back(
            pixels,
            words,
            kind,
            target,
            extent,
            _may_scrim(placed),
            palette,
            within,
            rotate,
            protect,
        )
        shared = shared or backed.inks[0]
        inked += [
            Inked(word, backed.kind, backed.alpha, ink)
            for word, ink in zip(backed.words, backed.inks, strict=True)
        ]
    for text in placed.texts:
        if text.item.pill:
            inked += _pill(pixels, read(text, height, width), target, palette, shared)
    return inked


def _sharing(texts: Sequence[SetText]) -> list[tuple[str, list[SetText]]]:
    """The texts that share a backing, by its kind; a turned one has its own, turned alike."""
    plain = [text for text in texts if not text.item.pill]
    upright = [text for text in plain if not text.setting.rotate]
    in_kind = sorted(upright, key=lambda text: text.item.backing)
    groups = [
        (kind, list(members)) for kind, members in groupby(in_kind, key=lambda t: t.item.backing)
    ]
    return groups + [(text.item.backing, [text]) for text in plain if text.setting.rotate]


def _extent(placed: Placed, members: Sequence[SetText], kind: str) -> Rect:
    """What a shared backing spans: its words, or all upright boxes of the stack."""
    if members[0].setting.rotate:
        return members[0].frame
    upright = [text for text in placed.texts if not text.setting.rotate]
    whole = kind == "auto" or len(members) == len(placed.texts)
    return union([text.box for text in (upright if whole else members)])


def _may_scrim(placed: Placed) -> bool:
    """Gradients suit the main stack; a foot line or a lone boxed layer gets a small plate."""
    return any(text.item.role in ("headline", "sub", "price") for text in placed.texts)


def _pill(
    pixels: NDArray[np.uint8],
    words: Sequence[WordMasks],
    target: float,
    palette: Palette,
    shared: Ink | None,
) -> list[Inked]:
    """Draw a layer's plaque; spans with a fill of their own keep it."""
    text = words[0].text
    left, top, right, bottom = text.box.pixels()
    ground = contrast.sample(pixels[max(0, top) : bottom, max(0, left) : right].reshape(-1, 3))
    pill, ink = _pill_colours(text, ground, target, palette, shared)
    mask = plaques.tile(text.item.plaque, text.frame, text.setting, text.x, text.y)
    paint(pixels, Paint(mask, pill))
    own: list[Ink] = [
        ink if word.fill in ("auto", text.item.layer.fill) else word.lay(word.fill)
        for word in words
    ]
    return [
        Inked(word, "plate", 1.0, one) for word, one in zip(dress(words, own), own, strict=True)
    ]


def _pill_colours(
    text: SetText,
    ground: NDArray[np.uint8],
    target: float,
    palette: Palette,
    shared: Ink | None,
) -> tuple[Ink, Colour]:
    """The layer's own fill; the role's, where it shows and carries words; else what suits."""
    item = text.item
    if item.layer.fill != "auto":
        pill = lay_fill(item.layer.fill, text.frame, text.setting.rotate)
        return pill, ink_on(*ends(pill))
    if item.style.fill != "auto":
        named = palette.named(item.style.fill, ground)
        ink = palette.ink_on(named, target)
        if contrast_between(named, ink) >= target and contrast.p10(ground, named) >= _SHOWS:
            return named, ink
    plain = ends(shared)[0] if shared else None
    plain = plain or contrast.choose_ink(ground, WHITE, BLACK, target)
    return pill_colours(palette.accent, ground, target, plain)
