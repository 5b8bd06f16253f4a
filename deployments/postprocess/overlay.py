"""Words and insets onto a canvas: prepare, arrange, make legible, draw, measure, report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidValue
from deployments.postprocess import (
    accent,
    alternatives,
    artwork,
    contrast,
    copy_space,
    inlay,
    layers,
    layout,
    legible,
    plaques,
    render,
    shapes,
)
from deployments.postprocess.brand import Brand
from deployments.postprocess.compose import Canvas, Paint, lay, paint
from deployments.postprocess.contrast import Colour
from deployments.postprocess.fill import Filled, fill
from deployments.postprocess.geometry import Rect, union
from deployments.postprocess.hanging import Wall, hang
from deployments.postprocess.inlay import InsetReport
from deployments.postprocess.layers import Item
from deployments.postprocess.legible import Backed, Words
from deployments.postprocess.palette import Palette
from deployments.postprocess.position import cost_map
from deployments.postprocess.spec import Box, OverlaySpec
from deployments.postprocess.stack import Placed
from deployments.postprocess.template import find_template

_SHOWS = 1.25  # contrast with its ground at which a plaque of a role's own colour is seen as one


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What became of one layer. box: (left, top, width, height) in pixels of the canvas, pill
    included. contrast_p10: 10th percentile of the WCAG ratio under and around its glyphs."""

    index: int
    role: str
    lines: tuple[str, ...]
    lang: str
    font: str
    box: tuple[int, int, int, int]
    font_size_px: float
    fill: str
    contrast_p10: float
    backing: str
    backing_alpha: float
    missing_glyphs: str


@dataclass(frozen=True, slots=True)
class OverlayReport:
    """Every drawn layer of words in the spec's order, the AI label last; insets: every image and
    QR code in that order. What is not here was left out."""

    width: int
    height: int
    safe_area: tuple[int, int, int, int]
    layers: tuple[LayerReport, ...]
    insets: tuple[InsetReport, ...] = ()


@dataclass(frozen=True, slots=True)
class _Inked:
    words: Words
    backing: str
    alpha: float
    ink: Colour


def set_words(
    canvas: Canvas,
    spec: OverlaySpec,
    clear: int = 0,
    brand: Brand | None = None,
    index: int = 0,
    images: Mapping[str, bytes] = MappingProxyType({}),
) -> tuple[NDArray[np.uint8], OverlayReport, tuple[str, ...]]:
    """Draw the layers of `spec` over `canvas`: new pixels, the report and warnings.

    `clear`: pixels that the placement keeps free at top and bottom. `index`: which arrangement, 0
    for the best; raises NoOtherPlace where there are not as many. `images`: the files that image
    layers name, by their names. With on_problem "fail", raises InvalidValue("overlay") naming all
    that does not fit, cannot be shown or read. Raises InvalidValue for an unknown template.
    """
    template = find_template(spec.template) if spec.template is not None else None
    fallback = contrast.parse(template.accent) if template else None
    palette = Palette(canvas.pixels, brand, fallback)
    styles = template.styles if template else layers.ROLES
    items, problems, warnings = layers.prepare(spec, styles, brand)
    pixels = canvas.pixels.copy()
    height, width = pixels.shape[:2]
    area = layout.safe_area(width, height, spec, clear)
    protect = _boxes(canvas, spec.protect)
    space = copy_space.on(canvas, spec.copy_space)
    if space is not None and space.area == 0:
        warnings.append("copy_space: the placement cuts it away, so it was not kept to")
    avoid = [*protect, *_boxes(canvas, spec.avoid), *copy_space.around(space, canvas)]
    cost = cost_map(canvas.pixels, avoid=avoid)

    def arrange(area: Rect, taken: Sequence[Rect], index: int) -> Filled:
        if template is None:
            arranged = alternatives.arrangement(items, spec, cost, area, taken, index)
            return Filled(arranged, ())
        return fill(template, items, spec, cost, area, taken, index)

    wall = Wall(cost, area, tuple(protect))
    hanging = hang(artwork.prepare(spec, images), items, spec, wall, arrange, index)
    problems += hanging.problems
    warnings += hanging.warnings
    for hung in hanging.hung:
        inlay.shade(pixels, hung)
    shapes.paint_all(pixels, hanging.filled.shapes, palette)
    inked: list[_Inked] = []
    for placed in hanging.filled.arrangement.stacks:
        inked += _back(pixels, placed, spec.min_contrast, palette)
    insets: list[InsetReport] = []
    for hung in hanging.hung:  # over backings, which would tint them
        inset, trouble = inlay.lay(pixels, hung)
        insets.append(inset)
        problems += trouble
    reports = [_report(pixels, one) for one in inked]
    for one, report in zip(inked, reports, strict=True):
        if report.contrast_p10 < spec.min_contrast:
            problems.append(
                f"{one.words.text.item.name}: contrast {report.contrast_p10:.2f} is below "
                f"{spec.min_contrast:g}; choose another fill or backing"
            )
        paint(pixels, Paint(one.words.glyphs, one.ink))
        text = one.words.text
        pictures = render.emoji(text.setting, text.x, text.y)
        if pictures is not None:
            lay(pixels, pictures)
    if problems and spec.on_problem == "fail":
        raise InvalidValue("; ".join(problems) + ".", "overlay", "overlay_problem")
    reports.sort(key=lambda report: report.index)
    bounds = (int(area.x), int(area.y), int(area.width), int(area.height))
    report_all = OverlayReport(width, height, bounds, tuple(reports), tuple(insets))
    return pixels, report_all, (*warnings, *problems)


def _back(
    pixels: NDArray[np.uint8], placed: Placed, target: float, palette: Palette
) -> list[_Inked]:
    """Lay the backings of one stack on `pixels`, in place; layers of one kind share theirs."""
    height, width = pixels.shape[:2]
    words = [legible.read(text, height, width) for text in placed.texts]
    plain = [word for word in words if not word.text.item.pill]
    inked: list[_Inked] = []
    shared: Colour | None = None
    in_kind = sorted(plain, key=lambda word: word.text.item.backing)
    for kind, members in groupby(in_kind, key=lambda word: word.text.item.backing):
        group = list(members)
        whole = kind == "auto" or len(group) == len(words)
        extent = placed.box if whole else union([word.text.box for word in group])
        backed = legible.back(pixels, group, kind, target, extent, _may_scrim(placed), palette)
        shared = shared or backed.inks[0]
        inked += _inked(group, backed)
    for word in words:
        if word.text.item.pill:
            inked.append(_pill(pixels, word, target, palette, shared))
    return inked


def _inked(group: Sequence[Words], backed: Backed) -> list[_Inked]:
    return [
        _Inked(word, backed.kind, backed.alpha, ink)
        for word, ink in zip(group, backed.inks, strict=True)
    ]


def _may_scrim(placed: Placed) -> bool:
    """Gradients suit the main stack; a foot line or a lone boxed layer gets a small plate."""
    return any(text.item.role in ("headline", "sub", "price") for text in placed.texts)


def _pill(
    pixels: NDArray[np.uint8],
    word: Words,
    target: float,
    palette: Palette,
    shared: Colour | None,
) -> _Inked:
    text = word.text
    left, top, right, bottom = text.box.pixels()
    ground = contrast.sample(pixels[max(0, top) : bottom, max(0, left) : right].reshape(-1, 3))
    pill, ink = _pill_colours(text.item, ground, target, palette, shared)
    mask = plaques.tile(text.item.plaque, text.box, text.setting, text.x, text.y)
    paint(pixels, Paint(mask, pill))
    return _Inked(word, "plate", 1.0, ink)


def _pill_colours(
    item: Item,
    ground: NDArray[np.uint8],
    target: float,
    palette: Palette,
    shared: Colour | None,
) -> tuple[Colour, Colour]:
    """The layer's own fill; the role's, where it shows and carries words; else what suits."""
    if item.layer.fill != "auto":
        pill = contrast.parse(item.layer.fill)
        return pill, accent.ink_on(pill)
    if item.style.fill != "auto":
        pill = palette.named(item.style.fill, ground)
        ink = palette.ink_on(pill, target)
        if contrast.between(pill, ink) >= target and contrast.p10(ground, pill) >= _SHOWS:
            return pill, ink
    plain = shared or contrast.choose_ink(ground, contrast.WHITE, contrast.BLACK, target)
    return accent.pill_colours(palette.accent, ground, target, plain)


def _report(pixels: NDArray[np.uint8], one: _Inked) -> LayerReport:
    """Measured on the pixels as they are: all backings laid, no words drawn yet."""
    text = one.words.text
    left, top, right, bottom = text.box.pixels()
    return LayerReport(
        index=text.item.index,
        role=text.item.role,
        lines=tuple(line.text for line in text.setting.lines),
        lang=text.item.copy.lang,
        font=text.item.face.families[0],
        box=(left, top, right - left, bottom - top),
        font_size_px=round(text.setting.size, 1),
        fill=contrast.to_hex(one.ink),
        contrast_p10=round(contrast.p10(one.words.ground(pixels), one.ink), 2),
        backing=one.backing,
        backing_alpha=round(one.alpha, 3),
        missing_glyphs=text.item.missing,
    )


def _boxes(canvas: Canvas, boxes: Sequence[Box]) -> list[Rect]:
    rects = [canvas.from_picture(box.x, box.y, box.width, box.height) for box in boxes]
    return [rect for rect in rects if rect.area > 0]
