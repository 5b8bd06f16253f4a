"""Fit and place: the spec's layers on a canvas, each in its box, none over another.

Layers without a box form one stack, placed by `position`; legal lines and the AI label stand at
the foot; a layer with a box stands in it. Nothing leaves the safe area or covers a protected box:
what has no room is set smaller than its rules say, and in the end left out, and said so.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from deployments.postprocess.canvas import CostMap, Rect
from deployments.postprocess.design import CUT, LEAST, LINES, RULES, Item, Level, SetText
from deployments.postprocess.placing import stack
from deployments.postprocess.placing.stack import Placed, Site
from deployments.postprocess.schema import Box, OverlaySpec

MARGIN = 0.06  # of the short side, kept clear where the spec has no safe_area of its own
GAP = 0.05  # of the short side, between stacks
ANCHORS = {
    "top_left": ("start", 0.0), "top": ("center", 0.0), "top_right": ("end", 0.0),
    "left": ("start", 0.5), "center": ("center", 0.5), "right": ("end", 0.5),
    "bottom_left": ("start", 1.0), "bottom": ("center", 1.0), "bottom_right": ("end", 1.0),
}  # fmt: skip
FOOT = ("legal", "ai_label")
_ROWS = tuple(row / 24 for row in range(25))  # the thirds and the middle among them
_OFFER = ("price", "cta")
_SPLIT = 0.12  # how much less two stacks must cost than one: words belong together
_CORE = 0.5  # of a stack's width and height: words that keep off it clearly stand elsewhere
_SMALLER = tuple(0.96**step - 1 for step in range(1, 57))  # scales under size.min
_WHOLE_WORDS = -0.4  # the scale down to which words are rather set smaller than parted
_WORSE = 0.5  # by how much other places may cost more than the best; over a face it is about 1


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Stacks in the order of their importance, and what bent or broke the spec's rules.

    main: those of them that `position` placed, without the foot.
    """

    stacks: tuple[Placed, ...]
    problems: tuple[str, ...]
    main: tuple[Placed, ...] = ()


class NoOtherPlace(LookupError):
    """There are fewer good arrangements than asked for."""


def safe_area(width: int, height: int, spec: OverlaySpec, clear: int) -> Rect:
    """The rectangle that no words leave; `clear` pixels are the placement's, at top and bottom."""
    margin = MARGIN * min(width, height)
    left = right = top = bottom = margin
    if spec.safe_area is not None:
        left, right = spec.safe_area.left * width, spec.safe_area.right * width
        top, bottom = spec.safe_area.top * height, spec.safe_area.bottom * height
    top, bottom = max(top, clear), max(bottom, clear)
    return Rect(left, top, width - left - right, height - top - bottom)


def clear_area(width: int, height: int, spec: OverlaySpec, clear: int) -> Rect:
    """What nothing that carries words may leave: the spec's safe area or the placement's; without
    either the whole canvas, whose margin is a matter of looks."""
    if spec.safe_area is not None:
        return safe_area(width, height, spec, clear)
    return Rect(0, clear, width, height - 2 * clear)


def arrangement(
    items: Sequence[Item],
    spec: OverlaySpec,
    cost: CostMap,
    area: Rect,
    protect: Sequence[Rect],
    index: int,
) -> Arrangement:
    """The best arrangement (`index` 0), or the best in another place than all those before it.

    A function of its arguments alone, whatever number of `layouts` the spec asks for. Raises
    NoOtherPlace where words would have to be bent, left out or laid over the subject.
    """
    best = found = arrange(items, spec, cost, area, protect)
    taken: list[Rect] = []
    for _ in range(index):
        if not found.main:
            raise NoOtherPlace
        taken.append(_core(found.main[0].box))
        found = arrange(items, spec, cost, area, protect, taken)
        bent = not set(found.problems) <= set(best.problems)
        if bent or not found.main or _score(found) > _score(best) + _WORSE:
            raise NoOtherPlace
    return found


def arrange(
    items: Sequence[Item],
    spec: OverlaySpec,
    cost: CostMap,
    area: Rect,
    protect: Sequence[Rect],
    elsewhere: Sequence[Rect] = (),
) -> Arrangement:
    """Place all `items` inside `area`; deterministic.

    protect: what nothing covers; elsewhere: what the layers that `position` places do not cover.
    Both in pixels of the canvas.
    """
    canvas = Rect(0, 0, cost.width, cost.height)
    short = min(canvas.width, canvas.height)
    gap = GAP * short
    boxed = [item for item in items if item.layer.box is not None]
    foot = [item for item in items if item.layer.box is None and item.role in FOOT]
    main = [item for item in items if item.layer.box is None and item.role not in FOOT]
    taken = [*protect]
    fixed, problems = place_boxed(boxed, cost, area, protect)
    taken += [placed.box.grow(gap / 2) for placed in fixed]
    stacks: list[Placed] = []
    foot_site = Site(area, tuple(taken), ("start", "center", "end"), (1.0,), short)
    if main:
        above = area
        if foot:
            kept = stack.needed_height(foot, foot_site) + gap
            above = Rect(area.x, area.y, area.width, max(1.0, area.height - kept))
        site = _main_site(main, spec, above, [*taken, *elsewhere], canvas)
        stacks, trouble = _place_main(main, site, cost)
        problems += trouble
        taken += [placed.box.grow(gap / 2) for placed in stacks]
        if stacks:
            foot_site = Site(area, tuple(taken), (stacks[0].column,), (1.0,), short)
    main_stacks = tuple(stacks)
    if foot:
        placed, trouble = place(foot, foot_site, cost)
        if trouble and len(foot_site.columns) == 1:  # an inset stands there: beside it, then
            anywhere = replace(foot_site, columns=("start", "center", "end"))
            placed, trouble = place(foot, anywhere, cost)
        problems += trouble
        if placed is not None:
            stacks.append(placed)
    return Arrangement((*stacks, *fixed), tuple(problems), main_stacks)


def place_boxed(
    items: Sequence[Item], cost: CostMap, area: Rect, protect: Sequence[Rect]
) -> tuple[list[Placed], list[str]]:
    """Place items that have a box of their own, each in it; and what was bent."""
    canvas = Rect(0, 0, cost.width, cost.height)
    short = min(canvas.width, canvas.height)
    taken = [*protect]
    problems: list[str] = []
    fixed: list[Placed] = []
    for item in items:
        asked = canvas.part(item.layer.box.shares) if item.layer.box else area
        own = asked.clip(area)
        placed, trouble = None, list[str]()
        for part in _free_parts(own, taken) or [own]:
            site = Site(part, tuple(taken), ("start",), _ROWS, short)
            placed, trouble = place([item], _aligned(site, [item]), cost)
            if placed is not None:
                break
        problems += trouble if placed else [_why_out(item, asked, own, taken)]
        if placed is not None:
            fixed.append(placed)
            taken.append(placed.box.grow(GAP * short / 2))
    return fixed, problems


def _free_parts(box: Rect, taken: Sequence[Rect]) -> list[Rect]:
    """What of `box` is clear of all that is taken, in its largest rectangles, the largest first."""
    parts = [box]
    for rect in taken:
        parts = [
            free
            for part in parts
            for free in ([part] if not part.overlaps(rect) else _around(part, rect))
        ]
    return sorted((part for part in parts if part.area > 0), key=lambda part: -part.area)


def _around(box: Rect, taken: Rect) -> Iterator[Rect]:
    """The rectangles of `box` left, right, above and below of what is taken."""
    yield Rect(box.x, box.y, max(0.0, taken.x - box.x), box.height)
    yield Rect(taken.right, box.y, max(0.0, box.right - taken.right), box.height)
    yield Rect(box.x, box.y, box.width, max(0.0, taken.y - box.y))
    yield Rect(box.x, taken.bottom, box.width, max(0.0, box.bottom - taken.bottom))


def _why_out(item: Item, asked: Rect, own: Rect, taken: Sequence[Rect]) -> str:
    if own.area < 0.9 * asked.area:
        why = (
            "its box lies outside the safe area"
            if own.area == 0
            else ("too little of its box lies inside the safe area")
        )
    elif any(own.overlaps(rect) for rect in taken):
        why = "its box is taken by what stands there or is protected"
    else:
        why = "its box has no room for it"
    return f"{item.name}: {why}; it was left out"


def place(items: list[Item], site: Site, cost: CostMap) -> tuple[Placed | None, list[str]]:
    """Place `items`, bending the rules no more than needed; and what was bent."""
    problems: list[str] = []
    left = list(items)
    while left:
        placed = stack.place(left, site, cost, RULES)
        if placed is None and stack.fits_at_all(left, site):
            placed = next((one for one in _bending(left, site, cost) if one is not None), None)
        if placed is not None:
            return placed, problems + _bent(placed, site.short_side)
        out = max(left, key=lambda item: (item.style.rank, item.index))
        left.remove(out)
        problems.append(f"{out.name}: there is no room for it; it was left out")
    return None, problems


def _bending(items: list[Item], site: Site, cost: CostMap) -> Iterator[Placed | None]:
    """Ever more bent settings: more lines, then a smaller size of the layer that takes most room,
    then words parted, then that smaller still, and at last all layers smaller."""
    yield stack.place(items, site, cost, LINES)
    longest = max(items, key=lambda item: stack.room(item, site))
    yield _shrunk(items, site, cost, LINES, _WHOLE_WORDS, longest)
    yield stack.place(items, site, cost, CUT)
    yield _shrunk(items, site, cost, CUT, LEAST, longest)
    yield _shrunk(items, site, cost, CUT, LEAST, None)


def _shrunk(
    items: list[Item], site: Site, cost: CostMap, level: Level, least: float, small: Item | None
) -> Placed | None:
    """The stack with `small`, or all of it, at the largest size below its range that has room."""
    scales = [scale for scale in _SMALLER if scale >= least]
    first = bisect_left(
        scales, True, key=lambda scale: stack.fits(items, site, level.at(scale), small)
    )
    for scale in scales[first:]:
        placed = stack.place(items, site, cost, level.at(scale), small)
        if placed is not None:
            return placed
    return None


def _place_main(items: list[Item], site: Site, cost: CostMap) -> tuple[list[Placed], list[str]]:
    """One stack; or two, the offer (price, cta) at the foot, where that covers clearly less."""
    whole, problems = place(items, site, cost)
    if whole is None:
        return [], problems
    first_offer = next((n for n, item in enumerate(items) if item.role in _OFFER), 0)
    head, offer = items[:first_offer], items[first_offer:]
    if problems or len(site.rows) == 1 or not head or any(i.role not in _OFFER for i in offer):
        return [whole], problems
    top = stack.place(head, replace(site, rows=(0.0,)), cost, RULES)
    if top is None:
        return [whole], problems
    below = (*site.forbidden, top.box.grow(GAP * site.short_side))
    foot = replace(site, rows=(1.0,), forbidden=below)
    bottom = stack.place(offer, foot, cost, RULES)
    if bottom is None:
        return [whole], problems
    share = top.area / (top.area + bottom.area)
    score = share * top.score + (1 - share) * bottom.score
    return ([top, bottom] if score < whole.score - _SPLIT else [whole]), problems


def _main_site(
    items: Sequence[Item], spec: OverlaySpec, area: Rect, taken: Sequence[Rect], canvas: Rect
) -> Site:
    short = min(canvas.width, canvas.height)
    if isinstance(spec.position, Box):
        area = canvas.part(spec.position.shares).clip(area)
    elif spec.position != "auto":
        column, row = ANCHORS[spec.position]
        return Site(area, tuple(taken), (column,), (row,), short)
    return _aligned(Site(area, tuple(taken), ("start", "center", "end"), _ROWS, short), items)


def _aligned(site: Site, items: Sequence[Item]) -> Site:
    """The site with the columns that suit the first alignment asked for."""
    columns = {
        "auto": site.columns,
        "start": ("start", "end"),
        "center": ("center",),
        "end": ("end",),
    }
    asked = next((item.layer.align for item in items if item.layer.align != "auto"), "auto")
    chosen = columns[asked]
    if items[0].rtl and asked in ("auto", "start"):
        chosen = tuple(reversed(chosen))
    return Site(site.area, site.forbidden, chosen, site.rows, site.short_side)


def _bent(placed: Placed, short: float) -> list[str]:
    return [problem for text in placed.texts for problem in _rules_bent(text, short)]


def _rules_bent(text: SetText, short: float) -> list[str]:
    item, lines = text.item, len(text.setting.lines)
    least = (item.size.max if item.layer.fit == "strict" else item.size.min) * short
    problems = []
    if text.setting.size < least - 0.5:
        size = text.setting.size
        problems.append(f"{item.name}: drawn at {size:.0f} px, below its {least:.0f} px")
    if lines > item.max_lines:
        problems.append(f"{item.name}: takes {lines} lines, more than its {item.max_lines}")
    if text.cut:
        problems.append(f"{item.name}: cut to {item.max_lines} lines")
    for line, after in pairwise(text.setting.lines):
        word = f"{line.text.split()[-1]}|{after.text.split()[0]}" if line.joint else ""
        if line.joint == "cut":
            problems.append(f"{item.name}: a word is wider than its line and was cut: {word}")
        elif line.joint == "hyphen":
            problems.append(f"{item.name}: a word is wider than its line, hyphenated: {word}")
    return problems


def _score(arranged: Arrangement) -> float:
    area = sum(placed.area for placed in arranged.main)
    return sum(placed.area * placed.score for placed in arranged.main) / area


def _core(box: Rect) -> Rect:
    width, height = _CORE * box.width, _CORE * box.height
    return Rect(box.x + (box.width - width) / 2, box.y + (box.height - height) / 2, width, height)
