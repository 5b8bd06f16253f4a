"""Words and insets onto a canvas: prepare, arrange, make legible, draw, measure, report."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidValue
from deployments.postprocess.canvas import Canvas, Rect, contrast, map_costs
from deployments.postprocess.design import (
    PLATE_PADDING,
    Brand,
    Palette,
    find_template,
    prepare_items,
    roles,
)
from deployments.postprocess.painting import backings, effects, paint_insets, paint_shapes
from deployments.postprocess.painting.backings import Inked
from deployments.postprocess.painting.paint import Paint, ink_name, lay_sprite, paint
from deployments.postprocess.placing import (
    InsetRoom,
    PlacedTemplate,
    arrange,
    artwork,
    copy_space,
    place_insets,
    place_template,
)
from deployments.postprocess.schema import (
    Box,
    InsetReport,
    LayerReport,
    OverlayReport,
    OverlaySpec,
    parse_hex,
)
from deployments.postprocess.typesetting import drawing


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
    fallback = parse_hex(template.accent) if template else None
    styles = template.styles if template else roles.ROLES
    items, problems, warnings = prepare_items(spec, styles, brand)
    pixels = canvas.pixels.copy()
    height, width = pixels.shape[:2]
    area = arrange.safe_area(width, height, spec, clear)
    protect = _boxes(canvas, spec.protect)
    space = copy_space.on(canvas, spec.copy_space)
    if space is not None and space.area == 0:
        warnings.append("copy_space: the placement cuts it away, so it was not kept to")
    avoid = [*protect, *_boxes(canvas, spec.avoid), *copy_space.around(space, canvas)]
    cost = map_costs(canvas.pixels, avoid=avoid)
    palette = Palette(cost.small, brand, fallback)

    plate = PLATE_PADDING * min(width, height) if any(item.plated for item in items) else 0.0

    def place_words(area: Rect, taken: Sequence[Rect], index: int) -> PlacedTemplate:
        area = area.grow(-plate)
        if template is None:
            arranged = arrange.arrangement(items, spec, cost, area, taken, index)
            return PlacedTemplate(arranged, ())
        return place_template(template, items, spec, cost, area, taken, index)

    room = InsetRoom(cost, area, tuple(protect))
    placed = place_insets(artwork.prepare(spec, images), items, spec, room, place_words, index)
    problems += placed.problems
    warnings += placed.warnings
    for inset in placed.insets:
        paint_insets.shade(pixels, inset)
    paint_shapes.paint_all(pixels, placed.words.shapes, palette)
    within = arrange.clear_area(width, height, spec, clear)
    inked: list[Inked] = []
    for stack in placed.words.arrangement.stacks:
        inked += backings.lay(pixels, stack, spec.min_contrast, palette, within, tuple(protect))
    by_layer = [
        list(parts) for _, parts in groupby(inked, key=lambda one: one.words.text.item.index)
    ]
    for parts in by_layer:
        warnings += effects.warnings(parts[0].words.text)
        for effect in parts[0].words.under:
            paint(pixels, effect)
    _uncover(pixels, canvas, protect)
    insets: list[InsetReport] = []
    for inset in placed.insets:  # over backings and shadows, which would tint them
        report, trouble = paint_insets.lay(pixels, inset)
        insets.append(report)
        problems += trouble
    reports = [_report(pixels, parts) for parts in by_layer]
    for parts, layer in zip(by_layer, reports, strict=True):
        if layer.contrast_p10 < spec.min_contrast:
            problems.append(
                f"{parts[0].words.text.item.name}: contrast {layer.contrast_p10:.2f} is below "
                f"{spec.min_contrast:g}; choose another fill or backing"
            )
        for one in parts:
            paint(pixels, Paint(one.words.glyphs, one.ink))
        text = parts[0].words.text
        pictures = drawing.emoji(text.setting, text.x, text.y)
        if pictures is not None:
            lay_sprite(pixels, pictures)
    _uncover(pixels, canvas, protect)
    if problems and spec.on_problem == "fail":
        raise InvalidValue("; ".join(problems) + ".", "overlay", "overlay_problem")
    reports.sort(key=lambda layer: layer.index)
    bounds = (int(area.x), int(area.y), int(area.width), int(area.height))
    report_all = OverlayReport(width, height, bounds, tuple(reports), tuple(insets))
    return pixels, report_all, (*warnings, *problems)


def _report(pixels: NDArray[np.uint8], parts: Sequence[Inked]) -> LayerReport:
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
        fill=", ".join(dict.fromkeys(ink_name(one.ink) for one in parts)),
        contrast_p10=round(min(measured), 2),
        backing=parts[0].backing,
        backing_alpha=round(parts[0].alpha, 3),
        missing_glyphs=text.item.missing,
    )


def _uncover(pixels: NDArray[np.uint8], canvas: Canvas, protect: Sequence[Rect]) -> None:
    """Give what is protected back as the picture has it: shadows, frames and plates end there."""
    for rect in protect:
        left, top, right, bottom = rect.pixels()
        inside = np.s_[max(0, top) : bottom, max(0, left) : right]
        pixels[inside] = canvas.pixels[inside]


def _boxes(canvas: Canvas, boxes: Sequence[Box]) -> list[Rect]:
    rects = [canvas.from_picture(box.shares) for box in boxes]
    return [rect for rect in rects if rect.area > 0]
