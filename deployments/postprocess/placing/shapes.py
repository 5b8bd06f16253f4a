"""Where a template's shapes lie: panels, rules, frames, quotation marks, each around its words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deployments.postprocess.canvas import Rect, union
from deployments.postprocess.design import Frame, Mark, Panel, Rule, Variant
from deployments.postprocess.typesetting import Line, Setting, Typeface, fonts, metrics

_MARK_WEIGHT = 900
MARK_TOP, MARK_HEIGHT = 0.26, 0.34  # ems: where the mark's ink lies in its line box


@dataclass(frozen=True, slots=True)
class Shaped:
    """A shape in its place, in pixels of the canvas. rtl: of a mark, for words in that direction.

    short: the canvas's short side, which the shape's own lengths are fractions of.
    """

    shape: Panel | Rule | Frame | Mark
    rect: Rect
    short: float
    rtl: bool = False


def mark_size(shape: Mark, short: float) -> tuple[float, float]:
    """Width and height in pixels of a mark's ink."""
    setting = mark(shape.size * short, rtl=False)
    return setting.width, MARK_HEIGHT * setting.size


def mark(size: float, rtl: bool) -> Setting:
    text = "”" if rtl else "“"
    families = fonts.order(text, "en")
    sink = metrics.sink(families[0], text)
    face = Typeface(families, _MARK_WEIGHT, 0.0, "en", sink)
    return Setting(face, (Line(text, face.advance(text), False),), size, 1.0, "start")


def place_shapes(
    variant: Variant,
    words: dict[str, list[Rect]],
    area: Rect,
    canvas: Rect,
    protect: Sequence[Rect],
    rtl: bool,
) -> Iterator[Shaped]:
    """The shapes that cover no protected box and no words but their own."""
    short = min(canvas.width, canvas.height)
    for shape in variant.shapes:
        if isinstance(shape, Frame):
            yield Shaped(shape, canvas.grow(-shape.inset * short), short)
            continue
        own = [rect for name in shape.around for rect in words.get(name, ())]
        if not own:
            continue
        others = [
            rect for name, rects in words.items() if name not in shape.around for rect in rects
        ]
        boxes = [group.inside(area) for group in variant.groups if group.name in shape.around]
        for rect in _extents(shape, own, boxes, canvas, rtl):
            free = not any(rect.overlaps(other) for other in (*protect, *others))
            if free and canvas.contains(rect, slack=0.5):
                yield Shaped(shape, rect, short, rtl)
                break


def _extents(
    shape: Panel | Rule | Mark, own: list[Rect], boxes: list[Rect], canvas: Rect, rtl: bool
) -> Iterator[Rect]:
    """Where a shape may lie, the best first."""
    short = min(canvas.width, canvas.height)
    words = union(own)
    if isinstance(shape, Panel):
        padded = words.grow(shape.padding * short)
        if shape.reach == "area":
            yield shape.bled(
                union([padded, *(box.grow(shape.padding * short) for box in boxes)]), canvas
            )
        yield shape.bled(padded, canvas)
        yield padded.clip(canvas)
    elif isinstance(shape, Rule):
        yield _rule(shape, words, union(boxes), short, rtl)
    else:
        width, height = mark_size(shape, short)
        x = words.right - width if rtl else words.x
        if words.x - boxes[0].x > 1 and boxes[0].right - words.right > 1 and _centred(words, boxes):
            x = words.x + (words.width - width) / 2
        yield Rect(x, words.y - 1.25 * height, width, height)


def _centred(words: Rect, boxes: list[Rect]) -> bool:
    return abs((words.x + words.right) - (boxes[0].x + boxes[0].right)) < 2


def _rule(shape: Rule, words: Rect, box: Rect, short: float, rtl: bool) -> Rect:
    thick, gap = max(1.0, shape.thickness * short), shape.gap * short
    if shape.side in ("left", "right"):
        x = words.x - gap - thick if shape.side == "left" else words.right + gap
        return Rect(x, words.y, thick, words.height)
    y = words.y - gap - thick if shape.side == "top" else words.bottom + gap
    if shape.length is None:
        across = box if shape.reach == "area" else words
        return Rect(across.x, y, across.width, thick)
    length = shape.length * short
    if _centred(words, [box]):
        return Rect(words.x + (words.width - length) / 2, y, length, thick)
    return Rect(words.right - length if rtl else words.x, y, length, thick)
