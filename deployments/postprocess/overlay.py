"""Words onto a canvas: prepare, arrange, make legible, draw, measure, report."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidValue
from deployments.postprocess import (
    accent,
    contrast,
    effects,
    fills,
    layers,
    layout,
    legible,
    render,
)
from deployments.postprocess.compose import Canvas, Paint, paint
from deployments.postprocess.fills import Ink
from deployments.postprocess.geometry import Rect, union
from deployments.postprocess.legible import Words
from deployments.postprocess.position import cost_map
from deployments.postprocess.spec import Box, OverlaySpec
from deployments.postprocess.stack import Placed, SetText


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What became of one layer. box: (left, top, width, height) in pixels of the canvas, pill
    included. contrast_p10: 10th percentile of the WCAG ratio under and around its glyphs, of the
    worst of its fills. fill: all its fills as CSS writes them."""

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
    """Every drawn layer in the spec's order, the AI label last; what is not here was left out."""

    width: int
    height: int
    safe_area: tuple[int, int, int, int]
    layers: tuple[LayerReport, ...]


@dataclass(frozen=True, slots=True)
class _Inked:
    words: Words
    backing: str
    alpha: float
    ink: Ink


def set_words(
    canvas: Canvas, spec: OverlaySpec, clear: int = 0
) -> tuple[NDArray[np.uint8], OverlayReport, tuple[str, ...]]:
    """Draw the words of `spec` over `canvas`: new pixels, the report and warnings.

    `clear`: pixels that the placement keeps free at top and bottom. With on_problem "fail",
    raises InvalidValue("overlay") naming all that does not fit, cannot be shown or read.
    """
    items, problems, warnings = layers.prepare(spec)
    pixels = canvas.pixels.copy()
    height, width = pixels.shape[:2]
    area = layout.safe_area(width, height, spec, clear)
    protect = _boxes(canvas, spec.protect)
    cost = cost_map(canvas.pixels, avoid=[*protect, *_boxes(canvas, spec.avoid)])
    arrangement = layout.arrange(items, spec, cost, area, protect)
    problems += arrangement.problems
    inked: list[_Inked] = []
    for placed in arrangement.stacks:
        inked += _back(pixels, canvas.pixels, placed, spec.min_contrast)
    by_layer = [
        list(parts) for _, parts in groupby(inked, key=lambda one: one.words.text.item.index)
    ]
    for parts in by_layer:
        warnings += effects.warnings(parts[0].words.text)
        for effect in parts[0].words.under:
            paint(pixels, effect)
    reports = [_report(pixels, parts) for parts in by_layer]
    for parts, report in zip(by_layer, reports, strict=True):
        if report.contrast_p10 < spec.min_contrast:
            problems.append(
                f"{parts[0].words.text.item.name}: contrast {report.contrast_p10:.2f} is below "
                f"{spec.min_contrast:g}; choose another fill or backing"
            )
        for one in parts:
            paint(pixels, Paint(one.words.glyphs, one.ink))
    if problems and spec.on_problem == "fail":
        raise InvalidValue("; ".join(problems) + ".", "overlay", "overlay_problem")
    reports.sort(key=lambda report: report.index)
    bounds = (int(area.x), int(area.y), int(area.width), int(area.height))
    report_all = OverlayReport(width, height, bounds, tuple(reports))
    return pixels, report_all, (*warnings, *problems)


def _back(
    pixels: NDArray[np.uint8], picture: NDArray[np.uint8], placed: Placed, target: float
) -> list[_Inked]:
    """Lay the backings of one stack on `pixels`, in place; layers of one kind share theirs."""
    height, width = pixels.shape[:2]
    inked: list[_Inked] = []
    shared: Ink | None = None
    for kind, members in _sharing(placed.texts):
        words = [word for text in members for word in legible.read(text, height, width)]
        rotate = members[0].setting.rotate
        extent = _extent(placed, members, kind)
        backed = legible.back(pixels, words, kind, target, extent, _may_scrim(placed), rotate)
        shared = shared or backed.inks[0]
        inked += [
            _Inked(word, backed.kind, backed.alpha, ink)
            for word, ink in zip(backed.words, backed.inks, strict=True)
        ]
    for text in placed.texts:
        if text.item.pill:
            read = legible.read(text, height, width)
            inked += _pill(pixels, picture, read, target, shared)
    return inked


def _sharing(texts: Sequence[SetText]) -> list[tuple[str, list[SetText]]]:
    """The texts that share a backing, by its kind; a turned one has its own, turned alike."""
    plain = [text for text in texts if not text.item.pill]
    upright = [text for text in plain if not text.setting.rotate]
    in_kind = sorted(upright, key=lambda text: text.item.layer.backing)
    groups = [
        (kind, list(members))
        for kind, members in groupby(in_kind, key=lambda text: text.item.layer.backing)
    ]
    return groups + [(text.item.layer.backing, [text]) for text in plain if text.setting.rotate]


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
    picture: NDArray[np.uint8],
    words: Sequence[Words],
    target: float,
    shared: Ink | None,
) -> list[_Inked]:
    """Draw a layer's pill; spans with a fill of their own keep it."""
    text = words[0].text
    box, fill, rotate = text.frame, text.item.layer.fill, text.setting.rotate
    pill: Ink
    if fill == "auto":
        left, top, right, bottom = text.box.pixels()
        ground = contrast.sample(pixels[max(0, top) : bottom, max(0, left) : right].reshape(-1, 3))
        plain = fills.ends(shared)[0] if shared else None
        plain = plain or contrast.choose_ink(ground, contrast.WHITE, contrast.BLACK, target)
        pill, ink = accent.pill_colours(picture, ground, target, plain)
    else:
        pill = fills.lay(fill, box, rotate)
        ink = accent.ink_on(*fills.ends(pill))
    shape = render.rounded(box.x, box.y, box.width, box.height, box.height, rotate)
    paint(pixels, Paint(shape, pill))
    inks: list[Ink] = [
        ink if word.fill in ("auto", fill) else word.lay(word.fill) for word in words
    ]
    return [
        _Inked(word, "plate", 1.0, own)
        for word, own in zip(legible.dress(words, inks), inks, strict=True)
    ]


def _report(pixels: NDArray[np.uint8], parts: Sequence[_Inked]) -> LayerReport:
    """Measured on the pixels as they are: all but the words drawn, and no words yet."""
    text = parts[0].words.text
    left, top, right, bottom = text.box.pixels()
    measured = [contrast.p10(one.words.ground(pixels), one.words.tones(one.ink)) for one in parts]
    return LayerReport(
        index=text.item.index,
        role=text.item.role,
        lines=tuple(line.text for line in text.setting.lines),
        lang=text.item.copy.lang,
        font=text.item.face.families[0],
        box=(left, top, right - left, bottom - top),
        font_size_px=round(text.setting.size, 1),
        fill=", ".join(dict.fromkeys(fills.name(one.ink) for one in parts)),
        contrast_p10=round(min(measured), 2),
        backing=parts[0].backing,
        backing_alpha=round(parts[0].alpha, 3),
        missing_glyphs=text.item.missing,
    )


def _boxes(canvas: Canvas, boxes: Sequence[Box]) -> list[Rect]:
    rects = [canvas.from_picture(box.x, box.y, box.width, box.height) for box in boxes]
    return [rect for rect in rects if rect.area > 0]
