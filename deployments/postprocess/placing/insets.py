"""Where images and QR codes stand: in their boxes, at their anchors, or in a corner that is free.

Products stand first and words make room for them; a logo, badge or code without a place of its
own takes a corner that the words leave free, smaller if need be, before the words are moved.
Nothing leaves the safe area or covers a protected box; what has no room is left out, and said so.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from deployments.postprocess.canvas import COLUMN_SHARES, CostMap, Rect
from deployments.postprocess.design import Frame, Item
from deployments.postprocess.placing import stack
from deployments.postprocess.placing.arrange import ANCHORS, FOOT, GAP
from deployments.postprocess.placing.artwork import SIZES, Artwork
from deployments.postprocess.placing.stack import Site
from deployments.postprocess.placing.templates import PlacedTemplate
from deployments.postprocess.schema import Box, OverlaySpec

Arrange = Callable[[Rect, Sequence[Rect], int], PlacedTemplate]
"""Places all words in an area, off what is taken; which arrangement, 0 for the best."""
_SCALES = (1.0, 0.85, 0.7, 0.55)  # tried in turn, of what has no size of its own
# Corners in the order of custom, and what a later one must save.
_CORNERS = {
    "logo": (("start", 0.0), ("end", 0.0), ("end", 1.0), ("start", 1.0)),
    "badge": (("end", 0.0), ("start", 0.0), ("end", 1.0), ("start", 1.0)),
    "qr": (("end", 1.0), ("start", 1.0), ("end", 0.0), ("start", 0.0)),
}
_OUT_OF_CUSTOM = 0.05
_BESIDE, _BELOW, _ALONE = (0.44, 0.92), (0.92, 0.5), (0.85, 0.85)  # shares a product takes


@dataclass(frozen=True, slots=True)
class PlacedInset:
    """An artwork and the whole pixels of the canvas it covers; clear: what is kept free for it."""

    art: Artwork
    rect: Rect
    clear: Rect


@dataclass(frozen=True, slots=True)
class PlacedInsets:
    """All that was placed, words, their shapes and artworks, and what bent or broke the rules."""

    insets: tuple[PlacedInset, ...]
    words: PlacedTemplate
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InsetRoom:
    """The canvas as artworks see it: area is what they do not leave, protect what they do not
    cover; all in pixels."""

    cost: CostMap
    area: Rect
    protect: tuple[Rect, ...]

    @property
    def short(self) -> float:
        return float(min(self.cost.width, self.cost.height))

    def asked(self, box: Box) -> Rect:
        """A box of the spec in pixels."""
        return Rect(0, 0, self.cost.width, self.cost.height).part(box.shares)

    def inside_frames(self, words: PlacedTemplate) -> "InsetRoom":
        """The same within the frames that a template draws."""
        area = self.area
        for one in words.shapes:
            if isinstance(one.shape, Frame):
                area = area.clip(one.rect.grow(-(one.shape.thickness + GAP / 2) * one.short))
        return replace(self, area=area)

    def where_asked(self, art: Artwork, insets: Sequence[PlacedInset]) -> list[PlacedInset]:
        """In its box, where it may lie over others; or at its anchor, where it may not."""
        if art.layer.box is not None:
            asked = self.asked(art.layer.box)
            if art.kind == "qr":  # moved rather than made too small to be scanned
                asked = asked.move(*_into(asked, self.area))
            own = _whole(asked.clip(self.area))
            row = 1.0 if art.kind == "product" else 0.5
            one = self._at(art, art.within(own.width, own.height), own, "center", row)
            return [one] if one and self._may(one, (), ()) else []
        assert art.layer.anchor is not None
        for scale in self._scales(art):
            size = self._size(art, scale, self.area, _ALONE)
            one = self._at(art, size, _whole(self.area), *ANCHORS[art.layer.anchor])
            if one and self._may(one, insets, ()):
                return [one]
        return []

    def stand(
        self,
        art: Artwork,
        scale: float,
        insets: Sequence[PlacedInset],
        below: float,
        with_words: bool,
    ) -> list[PlacedInset]:
        """A product at the foot: in the middle below the words, or beside them, where larger."""
        ground = Rect(self.area.x, self.area.y, self.area.width, max(1.0, self.area.height - below))
        options = []
        for shares, columns in ((_BELOW, ("center",)), (_BESIDE, ("end", "start"))):
            size = self._size(art, scale, ground, shares if with_words else _ALONE)
            for order, column in enumerate(columns):
                one = self._at(art, size, _whole(ground), column, 1.0)
                if one and self._may(one, insets, ()):
                    dear = self.cost.mean(one.rect) + _OUT_OF_CUSTOM * order
                    options.append((-one.rect.area, dear, one))
        return [min(options, key=lambda option: option[:2])[2]] if options else []

    def corners(
        self, art: Artwork, insets: Sequence[PlacedInset], words: Sequence[Rect]
    ) -> list[PlacedInset]:
        """Corners that are free of `insets` and `words`, the best first, at the largest size."""
        for scale in self._scales(art):
            size = self._size(art, scale, self.area, _ALONE)
            found = []
            for order, (column, row) in enumerate(_CORNERS[art.kind]):
                one = self._at(art, size, _whole(self.area), column, row)
                if one and self._may(one, insets, words):
                    found.append((self.cost.mean(one.rect) + _OUT_OF_CUSTOM * order, order, one))
            if found:
                return [one for *_, one in sorted(found, key=lambda option: option[:2])]
        return []

    def _scales(self, art: Artwork) -> Iterator[float]:
        yield from _SCALES if art.layer.size is None else _SCALES[:1]

    def _size(
        self, art: Artwork, scale: float, area: Rect, shares: tuple[float, float]
    ) -> tuple[int, int]:
        room = _whole(area)
        if art.layer.size is None and art.kind == "product":
            return art.within(scale * shares[0] * room.width, scale * shares[1] * room.height)
        side = (art.layer.size or scale * SIZES[art.kind]) * self.short
        width, height = art.sized(side)
        return (width, height) if self._fits(width, height, room) else art.within(*_sides(room))

    def _fits(self, width: int, height: int, room: Rect) -> bool:
        return width <= room.width and height <= room.height

    def _at(
        self, art: Artwork, size: tuple[int, int], room: Rect, column: str, row: float
    ) -> PlacedInset | None:
        width, height = size
        if min(size) < 1 or not self._fits(width, height, room):
            return None
        x = room.x + round((room.width - width) * COLUMN_SHARES[column])
        y = room.y + round((room.height - height) * row)
        rect = Rect(x, y, width, height)
        return PlacedInset(art, rect, rect.grow(max(art.clear_px(*size), GAP / 2 * self.short)))

    def _may(self, one: PlacedInset, insets: Sequence[PlacedInset], words: Sequence[Rect]) -> bool:
        taken = [*self.protect, *words, *(other.clear for other in insets)]
        return not any(one.rect.overlaps(rect) for rect in taken) and not any(
            one.clear.overlaps(other.rect) for other in insets
        )


def place_insets(
    artworks: Sequence[Artwork],
    items: Sequence[Item],
    spec: OverlaySpec,
    room: InsetRoom,
    arrange: Arrange,
    index: int,
) -> PlacedInsets:
    """Place words and artworks; deterministic.

    index: which arrangement of the words. Raises NoOtherPlace where there are not as many.
    """
    insets: list[PlacedInset] = []
    for art in artworks:
        if art.layer.box is not None or art.layer.anchor is not None:
            insets += room.where_asked(art, insets)
    below = _foot(items, room)
    floating = [art for art in artworks if art.layer.box is None and art.layer.anchor is None]
    products = [art for art in floating if art.kind == "product"]
    tries = []
    for scale in _SCALES if products else _SCALES[:1]:
        stood = [*insets]
        for art in products:
            stood += room.stand(art, scale, stood, below, bool(items))
        words = _place_words(spec, room, arrange, stood)
        tries.append((stood, words))
        if not words.arrangement.problems and not words.warnings:
            break
    insets, words = min(tries, key=lambda one: _trouble(one[1]))
    if index:
        words = _place_words(spec, room, arrange, insets, index)
    for art in floating:
        if art.kind == "product":
            continue
        framed = room.inside_frames(words)
        free = framed.corners(art, insets, _covered(words, room))
        if not free and (candidates := framed.corners(art, insets, ())):
            # No corner is free: the one that troubles the words least.
            moved = [
                (one, _place_words(spec, room, arrange, [*insets, one], index))
                for one in candidates
            ]
            best, words = min(moved, key=lambda one: _trouble(one[1]))
            free = [best]
        insets += free[:1]
    insets.sort(key=lambda one: one.art.index)
    return _reported(artworks, insets, words, room)


def _reported(
    artworks: Sequence[Artwork], insets: list[PlacedInset], words: PlacedTemplate, room: InsetRoom
) -> PlacedInsets:
    shown = {one.art.index for one in insets}
    problems = [
        f"{art.name}: there is no room for it; it was left out"
        for art in artworks
        if art.index not in shown
    ]
    warnings: list[str] = []
    for one in insets:
        troubles, doubts = one.art.doubts(int(one.rect.width))
        problems += troubles
        warnings += doubts
        if one.art.layer.box is not None and not room.asked(one.art.layer.box).contains(
            one.rect, 1
        ):
            warnings.append(f"{one.art.name}: moved from its box into the safe area")
    return PlacedInsets(
        tuple(insets),
        words,
        (*words.arrangement.problems, *problems),
        (*words.warnings, *warnings),
    )


def _place_words(
    spec: OverlaySpec,
    room: InsetRoom,
    arrange: Arrange,
    insets: Sequence[PlacedInset],
    index: int = 0,
) -> PlacedTemplate:
    """The words around the insets that stand. An anchor shared with an artwork gives way to it."""
    area = room.area
    if isinstance(spec.position, str) and spec.position != "auto":
        column, row = ANCHORS[spec.position]
        for one in insets:
            if one.art.layer.anchor is None:
                continue
            other, its_row = ANCHORS[one.art.layer.anchor]
            if its_row == row and (column == other or "center" in (column, other)):
                area = _beyond(area, one.clear, row)
    taken = [*room.protect, *(one.clear for one in insets)]
    return arrange(area, taken, index)


def _covered(words: PlacedTemplate, room: InsetRoom) -> list[Rect]:
    """What words and the shapes under them take."""
    boxes = [one.box.grow(GAP / 2 * room.short) for one in words.arrangement.stacks]
    return boxes + [one.rect for one in words.shapes if not isinstance(one.shape, Frame)]


def _trouble(words: PlacedTemplate) -> tuple[int, int]:
    return len(words.arrangement.problems), len(words.warnings)


def _beyond(area: Rect, taken: Rect, row: float) -> Rect:
    """What is left of `area` below `taken` at its top, or above it at its foot."""
    if row == 0.0:
        top = min(max(area.y, taken.bottom), area.bottom - 1)
        return Rect(area.x, top, area.width, area.bottom - top)
    if row == 1.0:
        return Rect(area.x, area.y, area.width, max(1.0, min(area.bottom, taken.y) - area.y))
    return area


def _foot(items: Sequence[Item], room: InsetRoom) -> float:
    """Pixels that legal lines and the AI label take at the foot."""
    foot = [item for item in items if item.layer.box is None and item.role in FOOT]
    if not foot:
        return 0.0
    site = Site(room.area, (), ("start",), (1.0,), room.short)
    return stack.needed_height(foot, site) + GAP * room.short


def _into(rect: Rect, area: Rect) -> tuple[float, float]:
    """How far `rect` must move to lie in `area`, as far as it can."""
    dx = max(area.x - rect.x, 0.0) + min(area.right - rect.right, 0.0)
    dy = max(area.y - rect.y, 0.0) + min(area.bottom - rect.bottom, 0.0)
    return dx, dy


def _sides(rect: Rect) -> tuple[float, float]:
    return rect.width, rect.height


def _whole(rect: Rect) -> Rect:
    """The whole pixels inside `rect`, a millionth of a pixel forgiven."""
    left, top = math.ceil(rect.x - 1e-6), math.ceil(rect.y - 1e-6)
    right, bottom = math.floor(rect.right + 1e-6), math.floor(rect.bottom + 1e-6)
    return Rect(left, top, max(0, right - left), max(0, bottom - top))
