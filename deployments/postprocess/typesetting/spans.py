"""Words set unlike: which span each character belongs to, how wide it is, where it stands."""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from deployments.postprocess.schema import Fill, Span
from deployments.postprocess.typesetting import fonts
from deployments.postprocess.typesetting.drawing import Typeface
from deployments.postprocess.typesetting.lines import Line, Run
from deployments.postprocess.typesetting.text import ink_length, prepare


@dataclass(frozen=True, slots=True)
class Spans:
    """The spans of one layer, set in `face` where they have no weight of their own.

    ends: how many characters (text.ink_length) lie before each one's end in the cleaned copy.
    fills: the layer's parts, each of one fill.
    """

    face: Typeface
    spans: tuple[Span, ...]
    ends: tuple[int, ...]
    fills: tuple[Fill, ...]
    own_fill: Fill

    @property
    def tallest(self) -> float:
        """The greatest scale, at least 1."""
        return max(1.0, *(span.scale for span in self.spans))

    def advance(self, text: str, at: int = 0) -> float:
        """Ems that `text` takes on one line, where it begins after `at` characters."""
        return sum(
            span.scale * _advance(_face(self.face, span), piece)
            for span, piece in self._cut(text, at)
        )

    def lay_out(self, lines: Sequence[Line]) -> tuple[Line, ...]:
        """The lines of the whole copy, in order, each with its runs."""
        laid, at = [], 0
        for line in lines:
            laid.append(replace(line, runs=tuple(self._runs(line, at))))
            at += ink_length(line.text)
        return tuple(laid)

    def _cut(self, text: str, at: int) -> list[tuple[Span, str]]:
        """`text` in stretches of one span each; a space goes where the client typed it."""
        owners, place = [], at
        for char in text:
            if ink_length(char):
                owners.append(self._owner(place))
                place += 1
            else:
                before = self._owner(max(0, place - 1))
                ends_spaced = self.spans[before].text[-1:].isspace()
                owners.append(before if ends_spaced else self._owner(place))
        stretches: list[tuple[int, str]] = []
        for owner, char in zip(owners, text, strict=True):
            if stretches and stretches[-1][0] == owner:
                stretches[-1] = (owner, stretches[-1][1] + char)
            else:
                stretches.append((owner, char))
        return [(self.spans[owner], piece) for owner, piece in stretches]

    def _owner(self, place: int) -> int:
        """The span of the character after `place` others; an added ellipsis ends the last one."""
        return min(bisect_right(self.ends, place), len(self.spans) - 1)

    def _runs(self, line: Line, at: int) -> Iterator[Run]:
        left = 0.0
        for span, piece, rtl in _visual_order(self._cut(line.text, at), line.rtl):
            own = _face(self.face, span)
            width = span.scale * _advance(own, piece)
            words = piece.strip()
            before = span.scale * _advance(own, _spaces_left_of(piece, rtl))
            if words:
                yield Run(
                    words,
                    left + before,
                    span.scale * own.advance(words),
                    rtl,
                    span.scale,
                    own.weight,
                    span.strike,
                    span.underline,
                    self.fills.index(span.fill or self.own_fill),
                )
            left += width


def find(spans: Sequence[Span], face: Typeface, own_fill: Fill) -> Spans:
    """Where each of `spans` ends in the copy that `text.prepare` makes of all their texts."""
    texts = [span.text for span in spans]
    ends = [
        ink_length(prepare("".join(texts[: count + 1]), face.lang).plain)
        for count in range(len(texts))
    ]
    fills = dict.fromkeys(span.fill or own_fill for span in spans)
    return Spans(face, tuple(spans), tuple(ends), tuple(fills), own_fill)


def _face(face: Typeface, span: Span) -> Typeface:
    """`face` in the span's weight, or the nearest that there is."""
    if span.weight is None:
        return face
    return replace(face, weight=fonts.nearest_weight(face.families[0], span.weight))


def _advance(face: Typeface, piece: str) -> float:
    """Spaces at either end count, which the engine would drop."""
    words = piece.strip()
    around = len(piece) - len(words)
    return (face.advance(words) if words else 0.0) + (around * face.advance(" ") if around else 0.0)


def _spaces_left_of(piece: str, rtl: bool) -> str:
    words = piece.rstrip() if not rtl else piece.lstrip()
    return " " * (len(words) - len(words.strip()))


def _visual_order(
    pieces: Sequence[tuple[Span, str]], rtl: bool
) -> Iterator[tuple[Span, str, bool]]:
    """Pieces from left to right, each with its direction: neighbours that run against the line
    keep their own order (Unicode Bidirectional Algorithm, rule L2, with spans as isolates)."""
    ordered: list[tuple[Span, str, bool]] = []
    against = 0
    for span, piece in pieces:
        own = _direction(piece, rtl)
        against = against + 1 if own != rtl else 0
        # Each neighbour that runs the other way goes before those already there.
        ordered.insert(len(ordered) - max(0, against - 1), (span, piece, own))
    yield from reversed(ordered) if rtl else ordered


def _direction(piece: str, rtl: bool) -> bool:
    """Whether `piece` runs from right to left; as its line does where no letter tells."""
    for char in piece:
        kind = unicodedata.bidirectional(char)
        if kind in ("L", "R", "AL"):
            return kind != "L"
    return rtl
