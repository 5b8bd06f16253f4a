"""Which way words run, and how figures keep their order among words that run from right to left.

The engine orders a line by the Unicode Bidirectional Algorithm (UAX 9). That takes the groups of a
telephone number, or the sign before a percentage, for separate things and sets them from right to
left; isolates (LRI to PDI) around what is read as one keep it whole.
"""

import unicodedata
from functools import lru_cache
from typing import Literal

import regex

from deployments.postprocess.typesetting.figures import FIGURE, PHONE

Direction = Literal["auto", "ltr", "rtl"]
LRI, PDI = "\u2066", "\u2069"
_ISOLATES = "\u2066\u2067\u2068"
# Marks and isolates are the writer's cure; embeddings and overrides can turn letters round.
UNSAFE = regex.compile("[\u202a-\u202e]")
MARKS = regex.compile("[\u061c\u200e\u200f\u2066-\u2069]")
_RTL_LANGUAGES = frozenset(
    ("ar", "arc", "ckb", "dv", "fa", "he", "iw", "ks", "ps", "sd", "ug", "ur", "yi")
)
_RTL = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
_HAS_RTL = regex.compile(f"[{_RTL}]")
# Letters that join to what follows, and to what goes before them.
_JOINS_ON = regex.compile(r"[\p{Joining_Type=D}\p{Joining_Type=L}\p{Joining_Type=C}]")
_JOINING = regex.compile(r"[\p{Joining_Type=D}\p{Joining_Type=R}\p{Joining_Type=C}]")
_TOKEN = rf"[^\s{_RTL}{LRI}-{PDI}]"
# Latin words, with all that is written onto them: "C++", "#sale", "iPhone 17 Pro (256GB)".
_LATIN = regex.compile(
    rf"(?<!{_TOKEN})[^\s{_RTL}]*?(?P<words>(?:[@#.$(](?=\w))?(?=\w)(?={_TOKEN}*\p{{Latin}}){_TOKEN}+"
    rf"(?: (?:[(&+](?={_TOKEN})|(?=\w)){_TOKEN}*)*)"
)
_PAIRS = {")": "(", "]": "["}


def is_rtl_language(lang: str) -> bool:
    """Whether the language of a BCP 47 tag is written from right to left."""
    return lang.lower().split("-")[0] in _RTL_LANGUAGES


def is_rtl(line: str, lang: str, direction: Direction) -> bool:
    """The base direction of a paragraph: as asked, or that of its letters.

    Where both kinds of letters stand, the language decides if it runs from right to left, else
    most letters; where there are none, the language. (The first letter, which UAX 9 offers for
    want of better, is no sign: a brand's name may stand first in any sentence.)
    """
    if direction != "auto":
        return direction == "rtl"
    kinds = [unicodedata.bidirectional(char) for char in line]
    right, left = kinds.count("R") + kinds.count("AL"), kinds.count("L")
    if not (right or left) or (right and left and is_rtl_language(lang)):
        return is_rtl_language(lang)
    return right > left


def has_rtl(line: str, rtl: bool) -> bool:
    """Whether any of a line, whose own direction is `rtl`, may run from right to left."""
    return rtl or _HAS_RTL.search(line) is not None


def runs_rtl(stretch: str, rtl: bool) -> bool:
    """Whether a stretch that runs one way, of a line whose direction is `rtl`, does so to the
    left."""
    kinds = {unicodedata.bidirectional(char) for char in stretch}
    if kinds & {"R", "AL"}:
        return True
    return rtl and not kinds & {"L", "EN", "AN"}


def joins(before: str, after: str) -> bool:
    """Whether two letters are written in one stroke where they stand side by side."""
    return bool(_JOINS_ON.match(before) and _JOINING.match(after))


@lru_cache(maxsize=4096)
def isolated(line: str, rtl: bool) -> str:
    """`line` with isolates around the figures and names that would not keep their order."""
    if not has_rtl(line, rtl):
        return line
    marked, at = "", 0
    while at < len(line):
        found = min(filter(None, (_latin(line, at), _figure(line, at))), default=None)
        if found is None:
            break
        start, end, turns = found
        words = line[start:end]
        marked += line[at:start] + (LRI + words + PDI if turns else words)
        at = end
    return marked + line[at:]


def carried(before: str, line: str) -> str:
    """`line` with the isolates that `before`, the words of its paragraph before it, left open;
    and each that it leaves open closed."""
    opened: list[str] = []
    for char in before:
        _follow(opened, char)
    prefix = "".join(opened)
    for char in line:
        _follow(opened, char)
    return prefix + line + PDI * len(opened)


def _follow(opened: list[str], char: str) -> None:
    if char in _ISOLATES:
        opened.append(char)
    elif char == PDI and opened:
        opened.pop()


def _figure(line: str, at: int) -> tuple[int, int, bool] | None:
    """The next figure, and whether it might be turned. The signs of Arabic digits stand to their
    left, as UAX 9 has them: of those only telephone numbers are held."""
    found = FIGURE.search(line, at)
    if not found:
        return None
    figure, (start, end) = found.group(), found.span()
    european = any(char.isascii() and char.isdigit() for char in figure)
    turns = not figure.isdigit() if european else PHONE.fullmatch(figure) is not None
    words = _latin(line, start)
    if words and words[0] <= end + 1 and european:  # "50% OFF" and "3 in 1", not "2 iPhone"
        first = regex.match(r"[\p{L}]*", line[words[0] :]).group()
        if words[0] < end or turns or first.islower() or first.isupper():
            return start, max(end, words[1]), True
    return start, end, turns


def _latin(line: str, at: int) -> tuple[int, int, bool] | None:
    """The next Latin words; without signs they keep their order by themselves."""
    found = _LATIN.search(line, at)
    if not found:
        return None
    start, end = found.span("words")
    while end > start + 1 and _hangs(line[start:end]):
        end -= 1
    return start, end, not all(char.isalnum() or char == " " for char in line[start:end])


def _hangs(words: str) -> bool:
    """Whether the last character is the sentence's, not the words'."""
    last = words[-1]
    if last in _PAIRS:
        return words.count(_PAIRS[last]) < words.count(last)
    return last in " .,!?:;…\"'”’»([-–—"
