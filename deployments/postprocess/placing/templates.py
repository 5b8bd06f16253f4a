"""Words in a template: each group of roles in its place, shapes under them, nothing over another.

Of the variants that a template has for the canvas's aspect the one that covers least is taken. A
group that its place cannot hold goes where there is room; where the words get more room without
the template, they are stacked as `arrange` does it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from deployments.postprocess.canvas import CostMap, Rect
from deployments.postprocess.design import Frame, Group, Item, Level, Panel, Template, Variant
from deployments.postprocess.placing import arrange as plain
from deployments.postprocess.placing import stack
from deployments.postprocess.placing.arrange import ANCHORS, Arrangement, NoOtherPlace
from deployments.postprocess.placing.shapes import Shaped, place_shapes
from deployments.postprocess.placing.stack import Placed, Site
from deployments.postprocess.schema import Align, OverlaySpec, Size

_ROWS = tuple(row / 20 for row in range(21))
_FINE = Level(False, False, scales=tuple(1 - step / 10 for step in range(11)), widths=(1.0, 0.8))
_MISPLACED = 1.0  # what a group out of its place costs, beside which coverage is at most about 1
_CLEARLY = 0.08  # how much less another anchor must cost than one before it
_BREATH = 0.02  # of the short side, that words keep from a frame and from another group's shape


@dataclass(frozen=True, slots=True)
class PlacedTemplate:
    """Where words and shapes lie, shapes in the order they are painted."""

    arrangement: Arrangement
    shapes: tuple[Shaped, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Try:
    placed: PlacedTemplate
    penalty: float


def place_template(
    template: Template,
    items: Sequence[Item],
    spec: OverlaySpec,
    cost: CostMap,
    area: Rect,
    protect: Sequence[Rect],
    index: int = 0,
) -> PlacedTemplate:
    """Place all `items` and the template's shapes; deterministic. All in pixels of the canvas.

    index: which of the template's variants for this aspect, 0 for the one that suits best. Raises
    NoOtherPlace where no other holds the words as well.
    """
    rtl = _is_rtl(items)
    tries = [
        _place_variant(variant.mirrored() if rtl else variant, rtl, items, cost, area, protect)
        for variant in template.variants_for(cost.width, cost.height)
    ]
    tries.sort(key=lambda one: (_trouble(one.placed.arrangement), one.penalty))
    best = tries[0].placed
    if index:
        others = [one.placed for one in tries if one.penalty < tries[0].penalty + _MISPLACED]
        if index >= len(others) or others[index].arrangement.problems:
            raise NoOtherPlace
        return others[index]
    if not best.arrangement.problems:
        return best
    without = plain.arrange(items, spec, cost, area, protect)
    if _trouble(without) >= _trouble(best.arrangement):
        return best
    said = f"template: {spec.template} has no room for these words here; they stand without it"
    return PlacedTemplate(without, (), (said,))


def _trouble(arrangement: Arrangement) -> tuple[int, int]:
    """The fewer words are left out, and then the fewer rules bent, the better."""
    drawn = sum(len(one.texts) for one in arrangement.stacks)
    return -drawn, len(arrangement.problems)


def _is_rtl(items: Sequence[Item]) -> bool:
    """Whether the headline, or else the first layer, runs from right to left."""
    first = next((item for item in items if item.role == "headline"), items[0] if items else None)
    return first is not None and first.rtl


def _place_variant(
    variant: Variant,
    rtl: bool,
    items: Sequence[Item],
    cost: CostMap,
    area: Rect,
    protect: Sequence[Rect],
) -> _Try:
    canvas = Rect(0, 0, cost.width, cost.height)
    short = min(canvas.width, canvas.height)
    for shape in variant.shapes:
        if isinstance(shape, Frame):
            area = area.clip(canvas.grow(-(shape.inset + shape.thickness + _BREATH) * short))
    boxed = [item for item in items if item.layer.box is not None]
    placed, problems = plain.place_boxed(boxed, cost, area, protect)
    taken = [*protect, *(one.box.grow(plain.GAP * short / 2) for one in placed)]
    words = {"": [one.box for one in placed]}  # of no group, so that no shape covers them
    penalty = 0.0
    for group, members in _grouped(variant, items):
        box = group.inside(area)
        site = Site(box, tuple(taken), (), (), short)
        scaled = [_scaled(item, variant.scale) for item in members]
        stacks, trouble, strays = _place(scaled, group, rtl, site, area, cost)
        problems += trouble
        penalty += _MISPLACED * strays
        placed += stacks
        taken += [one.box.grow(plain.GAP * short / 2) for one in stacks]
        words[group.name] = [one.box for one in stacks]
    shapes = tuple(place_shapes(variant, words, area, canvas, protect, rtl))
    penalty += _coverage(shapes, placed, cost)
    said = tuple(_panels_gone(variant, words, shapes))
    order = sorted(placed, key=lambda one: min(text.item.style.rank for text in one.texts))
    return _Try(PlacedTemplate(Arrangement(tuple(order), tuple(problems)), shapes, said), penalty)


def _place(
    members: list[Item], group: Group, rtl: bool, site: Site, area: Rect, cost: CostMap
) -> tuple[list[Placed], list[str], int]:
    """The group in its place; else up or down from it, in its box or beyond; else anywhere."""
    best: Placed | None = None
    for anchor in group.anchors:
        column, row = ANCHORS[anchor]
        here = replace(site, columns=(column,), rows=(row,))
        one = stack.place(_aligned(members, group, column, rtl), here, cost, _FINE)
        if one is not None and (best is None or one.score < best.score - _CLEARLY):
            best = one
    if best is not None:
        return [best], [], 0
    column, _ = ANCHORS[group.anchors[0]]
    aligned = _aligned(members, group, column, rtl)
    tall = Rect(site.area.x, area.y, site.area.width, area.height)
    for strays, room in enumerate((site.area, tall), start=1):
        there = replace(site, area=room, columns=(column,), rows=_ROWS)
        one = stack.place(aligned, there, cost, _FINE)
        if one is not None:
            return [one], [], strays
    anywhere = replace(site, area=area, columns=("start", "center", "end"), rows=_ROWS)
    found, problems = plain.place(aligned, anywhere, cost)
    return ([found] if found else []), problems, 3


def _panels_gone(
    variant: Variant, words: Mapping[str, list[Rect]], shapes: Sequence[Shaped]
) -> Iterator[str]:
    """What is said of panels whose words are drawn without them."""
    drawn = [one.shape for one in shapes]
    for shape in variant.shapes:
        if not isinstance(shape, Panel) or shape in drawn:
            continue
        if any(words.get(name) for name in shape.around):
            groups = " and ".join(shape.around)
            yield f"template: the panel under its {groups} has no room; it was left out"


def _grouped(variant: Variant, items: Sequence[Item]) -> Iterator[tuple[Group, list[Item]]]:
    """Each group's items in the order of its roles; the first takes the roles of none, last."""
    free = [item for item in items if item.layer.box is None]
    homes: dict[str, str] = {role: group.name for group in variant.groups for role in group.roles}
    homes.setdefault("ai_label", homes.get("legal", variant.groups[-1].name))
    for group in variant.groups:
        ranks: dict[str, int] = {role: rank for rank, role in enumerate(group.roles)}
        members = [
            item for item in free if homes.get(item.role, variant.groups[0].name) == group.name
        ]
        if members:
            last = len(ranks)
            yield group, sorted(members, key=lambda item: ranks.get(item.role, last))


def _aligned(items: Sequence[Item], group: Group, column: str, rtl: bool) -> list[Item]:
    """The items aligned as their group is, in the direction of the variant, not of their words."""
    side = column
    if group.align != "auto":
        swapped = rtl and group.align != "center"
        side = {"start": "end", "end": "start"}[group.align] if swapped else group.align
    return [_on_side(item, side) if item.layer.align == "auto" else item for item in items]


def _on_side(item: Item, side: str) -> Item:
    """side: start for the left, end for the right; a layer's own are those of its words."""
    align: Align = "center"
    if side != "center":
        align = "start" if (side == "end") == item.rtl else "end"
    return replace(item, layer=item.layer.model_copy(update={"align": align}))


def _scaled(item: Item, scale: float) -> Item:
    """The item with its role's largest size times `scale`; a size of its own stays."""
    size = item.style.size
    scaled = Size(min=size.min, max=min(max(size.min, size.max * scale), 0.5))
    return replace(item, style=replace(item.style, size=scaled))


def _coverage(shapes: Sequence[Shaped], placed: Sequence[Placed], cost: CostMap) -> float:
    """Mean cost of all that is covered."""
    rects = [one.rect for one in shapes if isinstance(one.shape, Panel)]
    rects += [one.box for one in placed]
    area = sum(rect.area for rect in rects)
    return sum(rect.area * cost.mean(rect) for rect in rects) / area if area else 0.0
