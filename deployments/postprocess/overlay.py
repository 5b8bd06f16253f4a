"""Words onto a canvas: prepare, arrange, make legible, draw, measure, report."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidValue
from deployments.postprocess import accent, contrast, layers, layout, legible, render
from deployments.postprocess.compose import Canvas, Paint, paint
from deployments.postprocess.contrast import Colour
from deployments.postprocess.geometry import Rect, union
from deployments.postprocess.legible import Backed, Words
from deployments.postprocess.position import cost_map
from deployments.postprocess.spec import Box, OverlaySpec
from deployments.postprocess.stack import Placed


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
    ink: Colour


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
        inked += _back(pixels, cost.small, placed, spec.min_contrast)
    reports = [_report(pixels, one) for one in inked]
    for one, report in zip(inked, reports, strict=True):
        if report.contrast_p10 < spec.min_contrast:
            problems.append(
                f"{one.words.text.item.name}: contrast {report.contrast_p10:.2f} is below "
                f"{spec.min_contrast:g}; choose another fill or backing"
            )
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
    words = [legible.read(text, height, width) for text in placed.texts]
    plain = [word for word in words if not word.text.item.pill]
    inked: list[_Inked] = []
    shared: Colour | None = None
    in_kind = sorted(plain, key=lambda word: word.text.item.layer.backing)
    for kind, members in groupby(in_kind, key=lambda word: word.text.item.layer.backing):
        group = list(members)
        whole = kind == "auto" or len(group) == len(words)
        extent = placed.box if whole else union([word.text.box for word in group])
        backed = legible.back(pixels, group, kind, target, extent, _may_scrim(placed))
        shared = shared or backed.inks[0]
        inked += _inked(group, backed)
    for word in words:
        if word.text.item.pill:
            inked.append(_pill(pixels, picture, word, target, shared))
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
    picture: NDArray[np.uint8],
    word: Words,
    target: float,
    shared: Colour | None,
) -> _Inked:
    box, fill = word.text.box, word.text.item.layer.fill
    left, top, right, bottom = box.pixels()
    ground = contrast.sample(pixels[max(0, top) : bottom, max(0, left) : right].reshape(-1, 3))
    if fill == "auto":
        plain = shared or contrast.choose_ink(ground, contrast.WHITE, contrast.BLACK, target)
        pill, ink = accent.pill_colours(picture, ground, target, plain)
    else:
        pill = contrast.parse(fill)
        ink = accent.ink_on(pill)
    paint(pixels, Paint(render.rounded(box.x, box.y, box.width, box.height, box.height), pill))
    return _Inked(word, "plate", 1.0, ink)


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
