"""Breaking words into lines: the fewest lines, evenly filled, no lonely last syllable.

Lengths are in ems, so that one break serves every font size of the same proportion.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from deployments.postprocess.breaks import ZERO_WIDTH_SPACE, clusters
from deployments.postprocess.text import Copy, Paragraph, ink_length, is_cursive

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
        words, widths = _measured(paragraph, advance, at)
        at = words[-1].end
        if max(widths) > width:
            if not split_words:
                return None
            words = tuple(piece for word in words for piece in _fitting(word, advance, width))
            widths = tuple(advance(word.text, word.at) for word in words)
            if max(widths) > width:
                return None
        gaps = [advance(" ", word.end) if word.spaced else 0.0 for word in words]
        for first, last in _best_breaks(words, widths, gaps, width, balance):
            text = _join(words[first:last])
            lines.append(Line(text, advance(text, words[first].at), paragraph.rtl))
    return tuple(lines)


@lru_cache(maxsize=1024)
def _measured(
    paragraph: Paragraph, advance: Advance, at: int
) -> tuple[tuple[_Word, ...], tuple[float, ...]]:
    words = _words(paragraph, at)
    return words, tuple(advance(word.text, word.at) for word in words)


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


def _best_breaks(
    words: Sequence[_Word],
    widths: Sequence[float],
    gaps: Sequence[float],
    limit: float,
    balance: bool,
) -> list[tuple[int, int]]:
    """Spans of words, one a line, of least total cost (dynamic programming from the end)."""
    count = len(words)
    if sum(widths) + sum(gaps[:-1]) <= limit:
        return [(0, count)]  # nothing costs as much as another line
    styles = [_style_after(words, last) for last in range(count + 1)]
    ends = list(accumulate((len(word.text) + word.spaced for word in words), initial=0))
    cost = [0.0] * (count + 1)
    following = [count] * (count + 1)
    for first in range(count - 1, -1, -1):
        best, choice, filled = float("inf"), first + 1, 0.0
        for last in range(first + 1, count + 1):
            filled += widths[last - 1]
            if filled > limit and last > first + 1:
                break
            share, is_last = filled / limit, last == count
            here = _ANOTHER_LINE + cost[last] + styles[last]
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


def _style_after(words: Sequence[_Word], last: int) -> float:
    """What a break before word `last` costs, or less than nothing where it reads well."""
    if not 0 < last < len(words):
        return 0.0
    before, after = words[last - 1].text, words[last].text
    cost = _AFTER_PAUSE if before.endswith(_PAUSE) else 0.0
    cost += _AT_A_SPACE if words[last - 1].spaced else 0.0
    return cost + (_AT_A_SEAM if _is_latin(before[-1]) != _is_latin(after[0]) else 0.0)


def _is_latin(char: str) -> bool:
    return char.isascii() and char.isalpha()
