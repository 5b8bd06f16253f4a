"""Breaking words into lines: the fewest lines, evenly filled, no lonely last syllable.

Lengths are in ems, so that one break serves every font size of the same proportion.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

import regex

from deployments.postprocess.typesetting import breaks
from deployments.postprocess.typesetting.breaks import (
    SOFT_HYPHEN,
    SPACES,
    WORD_JOINER,
    ZERO_WIDTH_SPACE,
    Joint,
    clusters,
)
from deployments.postprocess.typesetting.direction import MARKS, carried
from deployments.postprocess.typesetting.text import Copy, Paragraph, ink_length, is_cursive

_PAUSE = tuple(",.!?:;·…、。，！？」』)）")
_ANOTHER_LINE = 100.0  # in squared widths: more than any raggedness, so lines are few first
_WIDOW = 0.5  # a last line below a third of the width, or of one or two characters
_AT_A_SEAM = -0.06  # where Latin meets another script, as in "SUMMER SALE | 최대 50%"
_AT_A_SPACE = -0.08  # of a language that writes without, where it ends a phrase
_AFTER_PAUSE = -0.08  # a line that ends with the phrase reads better
_AT_A_SIGN = 150.0  # a dash or middle dot at a line's end or head: rather another line
_SIGNS = "–—―·・•‧|~〜"
HYPHEN = "-"
# Break marks and the spaces that lines break at; a word joiner behind a space forbids it.
_BORDER = regex.compile(f"{ZERO_WIDTH_SPACE}+|[{SPACES}]++(?!{WORD_JOINER})")

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
    """One line to be drawn as it stands, or run by run where it has any; width in ems.

    joint: how its last word goes on in the next line; a hyphen is in `text` then.
    """

    text: str
    width: float
    rtl: bool
    runs: tuple[Run, ...] = ()
    joint: Joint = ""

    @property
    def hyphenated(self) -> bool:
        """Whether the line's last character is a hyphen that is not in the copy."""
        return self.joint in ("soft", "hyphen")


@dataclass(frozen=True, slots=True)
class _Word:
    """A piece that is never broken, the space that follows it, where in the copy it is, and how
    it goes on if a line ends with it."""

    text: str
    gap: str
    at: int
    joint: Joint = ""

    @property
    def end(self) -> int:
        return self.at + ink_length(self.text)


def break_lines(
    copy: Copy, advance: Advance, width: float, balance: bool = False, split_words: bool = False
) -> tuple[Line, ...] | None:
    """Lines of `copy` no wider than `width` ems; None where one word alone is wider, or a dash
    would stand at a line's end or head.

    `advance` gives a string's width. `balance` evens all lines out (headlines); otherwise the last
    line may be short. With `split_words` an over-wide word is parted, as UAX 14 or its language's
    hyphenation allow it, else between characters, unless it is written in one stroke; and what
    dashes and middle dots part may break there.
    """
    lines: list[Line] = []
    at = 0
    for paragraph in copy.paragraphs:
        row = _row(paragraph, advance, at)
        at = row.end
        if not row.words:
            lines.append(Line("", 0.0, paragraph.rtl))  # a blank line
            continue
        if row.widest > width:
            if not split_words:
                return None
            pieces = [
                piece for word in row.words for piece in _fitting(word, advance, width, copy.lang)
            ]
            row = _measured(pieces, advance, paragraph.rtl)
            if row.widest > width:
                return None
        spans = _best_breaks(row, width, balance)
        if not split_words and any(row.breaks[last] > _AT_A_SIGN / 2 for _, last in spans):
            return None
        broken = [_line(row, first, last) for first, last in spans]
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

    gaps: the space after each word. hyphens: what a line that ends with it is wider. ends:
    characters before each word, and in all. breaks: what a new line before each costs, or less
    than nothing where it reads well. end: where in the copy the last word ends.
    """

    words: tuple[_Word, ...]
    widths: tuple[float, ...]
    gaps: tuple[float, ...]
    hyphens: tuple[float, ...]
    ends: tuple[int, ...]
    breaks: tuple[float, ...]
    widest: float
    end: int
    rtl: bool


@lru_cache(maxsize=1024)
def _row(paragraph: Paragraph, advance: Advance, at: int) -> _Row:
    return _measured(_words(paragraph, at), advance, paragraph.rtl, at)


def _measured(words: Sequence[_Word], advance: Advance, rtl: bool, at: int = 0) -> _Row:
    widths = tuple(advance(word.text, word.at) for word in words)
    hyphens = tuple(
        advance(HYPHEN, word.end) if word.joint in ("soft", "hyphen") else 0.0 for word in words
    )
    return _Row(
        tuple(words),
        widths,
        tuple(advance(word.gap, word.end) if word.gap else 0.0 for word in words),
        hyphens,
        tuple(accumulate((len(word.text) + len(word.gap) for word in words), initial=0)),
        tuple(_break_before(words, index) for index in range(len(words) + 1)),
        max((width + hyphen for width, hyphen in zip(widths, hyphens, strict=True)), default=0.0),
        words[-1].end if words else at,
        rtl,
    )


@lru_cache(maxsize=4096)
def _line(row: _Row, first: int, last: int) -> Line:
    """No face kerns across a space or between phrases: a line is as wide as its parts."""
    width = sum(row.widths[first:last]) + sum(row.gaps[first : last - 1])
    text = _join(row.words[first:last])
    if last == len(row.words):
        return Line(text, width, row.rtl)
    joint = row.words[last - 1].joint
    hyphen = HYPHEN if joint in ("soft", "hyphen") else ""
    return Line(text + hyphen, width + row.hyphens[last - 1], row.rtl, joint=joint)


def _break_before(words: Sequence[_Word], index: int) -> float:
    if not 0 < index < len(words):
        return 0.0
    before, after = words[index - 1].text, words[index].text
    cost = _AFTER_PAUSE if before.endswith(_PAUSE) else 0.0
    cost += _AT_A_SPACE if words[index - 1].gap else 0.0
    cost += _AT_A_SIGN if before[-1] in _SIGNS or after[0] in _SIGNS else 0.0
    return cost + (_AT_A_SEAM if _is_latin(before[-1]) != _is_latin(after[0]) else 0.0)


def _words(paragraph: Paragraph, at: int) -> tuple[_Word, ...]:
    """A break mark may stand right beside a space, which still follows the piece before it."""
    words: list[_Word] = []
    start = 0
    borders = [found.span() for found in _BORDER.finditer(paragraph.text)]
    for left, right in [*borders, (len(paragraph.text), len(paragraph.text))]:
        piece = paragraph.text[start:left].replace(WORD_JOINER, "")
        gap = paragraph.text[left:right].replace(ZERO_WIDTH_SPACE, "")
        text = piece.replace(SOFT_HYPHEN, "")
        if text:
            joint: Joint = "soft" if piece.endswith(SOFT_HYPHEN) else ""
            words.append(_Word(text, gap, at, joint))
            at = words[-1].end
        elif words:
            words[-1] = replace(words[-1], gap=words[-1].gap + gap)
        start = right
    return tuple(words)


def _fitting(word: _Word, advance: Advance, width: float, lang: str) -> list[_Word]:
    """`word` in pieces of at most `width` ems; a single character may still be wider."""
    if advance(word.text, word.at) <= width or is_cursive(word.text):
        return [word]
    units: list[tuple[str, Joint]] = []
    at = word.at
    for text, joint in breaks.parts(word.text, lang):
        if advance(text, at) <= width:
            units.append((text, joint))
        else:
            found = clusters(text)
            units += [*((one, "cut") for one in found[:-1]), (found[-1], joint)]
        at += ink_length(text)
    pieces: list[_Word] = []
    at = word.at
    for text, joint in units:
        if pieces:
            longer = pieces[-1].text + text
            hyphen = advance(HYPHEN, at) if joint == "hyphen" else 0.0
            if advance(longer, pieces[-1].at) + hyphen <= width:
                pieces[-1] = _Word(longer, "", pieces[-1].at, joint)
                at = pieces[-1].end
                continue
        pieces.append(_Word(text, "", at, joint))
        at = pieces[-1].end
    pieces[-1] = replace(pieces[-1], gap=word.gap, joint=word.joint)
    return pieces


def _join(words: Sequence[_Word]) -> str:
    return "".join([*(word.text + word.gap for word in words[:-1]), words[-1].text])


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
            is_last = last == count
            full = filled if is_last else filled + row.hyphens[last - 1]
            if full > limit and last > first + 1:
                filled += gaps[last - 1]
                continue
            share = full / limit
            here = _ANOTHER_LINE + cost[last] + row.breaks[last]
            if balance or not is_last:
                here += (1.0 - share) ** 2
            characters = ends[last] - ends[first] - len(words[last - 1].gap)
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
