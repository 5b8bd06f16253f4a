"""Breaking words into lines: the fewest lines, evenly filled, no lonely last syllable.

Lengths are in ems, so that one break serves every font size of the same proportion.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

from deployments.postprocess.typesetting.breaks import ZERO_WIDTH_SPACE, clusters
from deployments.postprocess.typesetting.direction import MARKS, carried
from deployments.postprocess.typesetting.text import Copy, Paragraph, ink_length, is_cursive

_PAUSE = tuple(",.!?:;·…、。，！？」』)）")
_ANOTHER_LINE = 100.0  # in squared widths: more than any raggedness, so lines are few first
_WIDOW = 0.5  # a last line below a third of the width, or of one or two characters
_AT_A_SEAM = -0.06  # where Latin meets another script, as in "SUMMER SALE | 최대 50%"
_AT_A_SPACE = -0.08  # of a language that writes without, where it ends a phrase
_AFTER_PAUSE = -0.08  # a line that ends with the phrase reads better

# The width in ems of words that begin after so many characters of the copy (text.ink_length).
Advance = Callable[[str, int], float]


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of a line that is set alike; x (from the line's left end) and width in ems.

    scale: of the layer's font size. part: the words of one fill are one part of their layer.
    """

    text: str
    x: float
    width: float
    rtl: bool
    scale: float
    weight: int
    strike: bool
    underline: bool
    part: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line to be drawn as it stands, or run by run where it has any; width in ems."""

    text: str
    width: float
    rtl: bool
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class _Word:
    """A piece that is never broken, whether a space follows it, and where in the copy it is."""

    text: str
    spaced: bool
    at: int

    @property
    def end(self) -> int:
        return self.at + ink_length(self.text)


def break_lines(
    copy: Copy, advance: Advance, width: float, balance: bool = False, split_words: bool = False
) -> tuple[Line, ...] | None:
    """Lines of `copy` no wider than `width` ems; None where one word alone is wider.

    `advance` gives a string's width. `balance` evens all lines out (headlines); otherwise the last
    line may be short. With `split_words` an over-wide word breaks between characters, unless it is
    written in one stroke.
    """
    lines: list[Line] = []
    at = 0
    for paragraph in copy.paragraphs:
        row = _row(paragraph, advance, at)
        at = row.end
        if row.widest > width:
            if not split_words:
                return None
            pieces = [piece for word in row.words for piece in _fitting(word, advance, width)]
            row = _measured(pieces, advance, paragraph.rtl)
            if row.widest > width:
                return None
        broken = [_line(row, first, last) for first, last in _best_breaks(row, width, balance)]
        lines += _isolates_carried(broken) if MARKS.search(paragraph.text) else broken
    return tuple(lines)


def _isolates_carried(lines: Sequence[Line]) -> Iterator[Line]:
    """Each line of a paragraph is ordered by itself, so an isolate that a break parts is opened
    again behind it."""
    before = ""
    for line in lines:
        yield replace(line, text=carried(before, line.text))
        before += line.text


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """Words on one endless line, and what holds of them at every width.

    gaps: the space after each word. ends: characters before each word, and in all. breaks: what a
    new line before each costs, or less than nothing where it reads well. end: where in the copy
    the last word ends.
    """

    words: tuple[_Word, ...]
    widths: tuple[float, ...]
    gaps: tuple[float, ...]
    ends: tuple[int, ...]
    breaks: tuple[float, ...]
    widest: float
    end: int
    rtl: bool


@lru_cache(maxsize=1024)
def _row(paragraph: Paragraph, advance: Advance, at: int) -> _Row:
    return _measured(_words(paragraph, at), advance, paragraph.rtl)


def _measured(words: Sequence[_Word], advance: Advance, rtl: bool) -> _Row:
    widths = tuple(advance(word.text, word.at) for word in words)
    return _Row(
        tuple(words),
        widths,
        tuple(advance(" ", word.end) if word.spaced else 0.0 for word in words),
        tuple(accumulate((len(word.text) + word.spaced for word in words), initial=0)),
        tuple(_break_before(words, index) for index in range(len(words) + 1)),
        max(widths),
        words[-1].end,
        rtl,
    )


@lru_cache(maxsize=4096)
def _line(row: _Row, first: int, last: int) -> Line:
    """No face kerns across a space or between phrases: a line is as wide as its parts."""
    width = sum(row.widths[first:last]) + sum(row.gaps[first : last - 1])
    return Line(_join(row.words[first:last]), width, row.rtl)


def _break_before(words: Sequence[_Word], index: int) -> float:
    if not 0 < index < len(words):
        return 0.0
    before, after = words[index - 1].text, words[index].text
    cost = _AFTER_PAUSE if before.endswith(_PAUSE) else 0.0
    cost += _AT_A_SPACE if words[index - 1].spaced else 0.0
    return cost + (_AT_A_SEAM if _is_latin(before[-1]) != _is_latin(after[0]) else 0.0)


def _words(paragraph: Paragraph, at: int) -> tuple[_Word, ...]:
    """Phrase marks may stand right beside a space, which still follows the piece before it."""
    words: list[_Word] = []
    for spaced in paragraph.text.split(" "):
        group = [piece for piece in spaced.split(ZERO_WIDTH_SPACE) if piece]
        for index, piece in enumerate(group):
            words.append(_Word(piece, index == len(group) - 1, at))
            at = words[-1].end
    return tuple(words)


def _fitting(word: _Word, advance: Advance, width: float) -> list[_Word]:
    """`word` in pieces of at most `width` ems; a single character may still be wider.

    Summed characters may be a little narrower than the piece, hence the reserve of 3 %.
    """
    if advance(word.text, word.at) <= width or is_cursive(word.text):
        return [word]
    pieces, current, filled, at = [], "", 0.0, word.at
    for cluster in clusters(word.text):
        length = advance(cluster, at)
        at += ink_length(cluster)
        if current and filled + length > 0.97 * width:
            pieces.append(current)
            current, filled = "", 0.0
        current += cluster
        filled += length
    pieces.append(current)
    last = len(pieces) - 1
    starts = accumulate((ink_length(piece) for piece in pieces), initial=word.at)
    return [
        _Word(piece, word.spaced and i == last, start)
        for i, (piece, start) in enumerate(zip(pieces, starts, strict=False))
    ]


def _join(words: Sequence[_Word]) -> str:
    return "".join(word.text + (" " if word.spaced else "") for word in words).rstrip(" ")


def _best_breaks(row: _Row, limit: float, balance: bool) -> list[tuple[int, int]]:
    """Spans of words, one a line, of least total cost (dynamic programming from the end)."""
    words, widths, gaps, ends = row.words, row.widths, row.gaps, row.ends
    count = len(words)
    if sum(widths) + sum(gaps[:-1]) <= limit:
        return [(0, count)]  # nothing costs as much as another line
    cost = [0.0] * (count + 1)
    following = [count] * (count + 1)
    for first in range(count - 1, -1, -1):
        best, choice, filled = float("inf"), first + 1, 0.0
        for last in range(first + 1, count + 1):
            filled += widths[last - 1]
            if filled > limit and last > first + 1:
                break
            share, is_last = filled / limit, last == count
            here = _ANOTHER_LINE + cost[last] + row.breaks[last]
            if balance or not is_last:
                here += (1.0 - share) ** 2
            characters = ends[last] - ends[first] - words[last - 1].spaced
            lonely = characters <= 2 or (is_last and share < 0.33)
            if lonely and not (is_last and first == 0):
                here += _WIDOW
            if here < best - 1e-9:
                best, choice = here, last
            filled += gaps[last - 1]
        cost[first], following[first] = best, choice
    spans, first = [], 0
    while first < count:
        spans.append((first, following[first]))
        first = following[first]
    return spans


def _is_latin(char: str) -> bool:
    return char.isascii() and char.isalpha()
