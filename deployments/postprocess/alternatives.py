"""Other good arrangements of the same words: each keeps off the places of those before it."""

from collections.abc import Sequence

from deployments.postprocess import layout
from deployments.postprocess.geometry import Rect
from deployments.postprocess.layers import Item
from deployments.postprocess.layout import Arrangement
from deployments.postprocess.position import CostMap
from deployments.postprocess.spec import OverlaySpec

_CORE = 0.5  # of a stack's width and height: words that keep off it clearly stand elsewhere
_WORSE = 0.5  # by how much other places may cost more than the best; over a face it is about 1


class NoOtherPlace(LookupError):
    """There are fewer good arrangements than asked for."""


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
    best = found = layout.arrange(items, spec, cost, area, protect)
    taken: list[Rect] = []
    for _ in range(index):
        if not found.main:
            raise NoOtherPlace
        taken.append(_core(found.main[0].box))
        found = layout.arrange(items, spec, cost, area, protect, taken)
        bent = not set(found.problems) <= set(best.problems)
        if bent or not found.main or _score(found) > _score(best) + _WORSE:
            raise NoOtherPlace
    return found


def _score(arranged: Arrangement) -> float:
    area = sum(placed.area for placed in arranged.main)
    return sum(placed.area * placed.score for placed in arranged.main) / area


def _core(box: Rect) -> Rect:
    width, height = _CORE * box.width, _CORE * box.height
    return Rect(box.x + (box.width - width) / 2, box.y + (box.height - height) / 2, width, height)
