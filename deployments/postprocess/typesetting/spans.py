"""Words set unlike: which span each character belongs to, how wide it is, where it stands."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from deployments.postprocess.schema import Fill, Span
from deployments.postprocess.typesetting import direction, drawing, engine, fonts
from deployments.postprocess.typesetting.drawing import Typeface
from deployments.postprocess.typesetting.lines import Line, Run
from deployments.postprocess.typesetting.text import ink_length, prepare

ZWJ = "\u200d"


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
            at += ink_length(line.text) - line.hyphenated
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
        pieces = _joined_over([piece for _, piece in stretches])
        return [(self.spans[owner], p) for (owner, _), p in zip(stretches, pieces, strict=True)]

    def _owner(self, place: int) -> int:
        """The span of the character after `place` others; an added ellipsis ends the last one."""
        return min(bisect_right(self.ends, place), len(self.spans) - 1)

    def _runs(self, line: Line, at: int) -> Iterator[Run]:
        left = 0.0
        for span, piece, rtl in self._ordered(line, at):
            own = _face(self.face, span)
            fill = self.fills.index(span.fill or self.own_fill)
            for words, width in drawing.spaced(own, piece, rtl):
                width *= span.scale
                if words:
                    yield Run(
                        words, left, width, rtl, span.scale, own.weight,
                        span.strike, span.underline, fill,
                    )  # fmt: skip
                left += width

    def _ordered(self, line: Line, at: int) -> list[tuple[Span, str, bool]]:
        """The stretches of `line` from left to right, each with its span and its direction."""
        if not direction.has_rtl(line.text, line.rtl):
            return [(span, piece, False) for span, piece in self._cut(line.text, at)]
        cut = self._cut(direction.isolated(line.text, line.rtl), at)
        face, pieces = self.face, [piece for _, piece in cut]
        ordered = engine.visual_order(pieces, line.rtl, face.families, face.lang)
        return [
            (cut[number][0], direction.MARKS.sub("", piece), direction.runs_rtl(piece, line.rtl))
            for number, piece in ordered
        ]


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
    """Spaces at either end count."""
    return sum(width for _, width in drawing.spaced(face, piece, False))


def _joined_over(pieces: Sequence[str]) -> list[str]:
    """The pieces, joiners (ZWJ) where a border parts letters that are written in one stroke: each
    piece is set by itself, in the forms that it has in its word."""
    joined = list(pieces)
    for number, (one, other) in enumerate(pairwise(pieces)):
        if direction.joins(one[-1:], other[:1]):
            joined[number] += ZWJ
            joined[number + 1] = ZWJ + joined[number + 1]
    return joined
