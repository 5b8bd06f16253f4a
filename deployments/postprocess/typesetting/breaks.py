"""Where lines may break: by the Unicode Line Breaking Algorithm (UAX 14, through ICU, which has
dictionaries for Thai, Lao, Burmese and Khmer), by phrases, and never within a figure."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Literal

import budoux
import pyphen
import regex
from fontTools.unicodedata import script
from icu4py.breakers import LineBreaker

from deployments.postprocess.typesetting import figures
from deployments.postprocess.typesetting.languages import is_traditional

LineBreak = Literal["auto", "keep_all", "anywhere", "phrase"]
ZERO_WIDTH_SPACE, WORD_JOINER, SOFT_HYPHEN = "\u200b", "\u2060", "\u00ad"
# The spaces that a line may break at, as Unicode has them; no-break spaces are letters here.
SPACES = " \u1680\u2000-\u2006\u2008-\u200a\u205f\u3000"
# How a word that is parted goes on in the next line: as its writing has it, at the writer's soft
# hyphen, at a hyphen by its language's rules, or cut where it should not be.
Joint = Literal["", "soft", "hyphen", "cut"]
_CLUSTER = regex.compile(r"\X")
_SPACE = regex.compile(f"[{SPACES}]")
# Scripts whose lines may break between any two characters, as a reader of them would allow.
_LOOSE = frozenset({"Hang", "Hani", "Hira", "Kana", "Bopo"})
# Words of letters that are written with spaces, and a comma or full stop behind them.
_WORDS = regex.compile(r"(?:[A-Za-z가-힣\u00c0-\u024f\u0400-\u04ff]+[,.]?(?: (?=.)|[!?]?$))+")
_HYPHENS = "-‐"
_SHORT = 2  # letters: "Wi-Fi" and "e-mail" are not parted at their hyphens
_LEAST_WORD = 6  # letters: shorter ones are not hyphenated


def clusters(text: str) -> list[str]:
    """What a reader takes for characters: letters with their marks, conjuncts, whole emoji."""
    return [str(cluster) for cluster in _CLUSTER.findall(text)]


def has_phrases(lang: str) -> bool:
    """Whether phrases can be found in the language of the BCP 47 tag."""
    return _phrase_parser(lang) is not None


def breakable(line: str, lang: str, line_break: LineBreak = "auto") -> str:
    """`line` with U+200B wherever it may break besides its spaces, and U+2060 behind each space
    that it may not break at.

    auto: between the phrases of Japanese, Chinese and Thai, between the words of Lao, Burmese and
    Khmer, after hyphens and slashes; as phrase does, which languages that write with spaces cannot
    have. keep_all: at spaces only. anywhere: between any two characters of Hangul, Han and kana
    that UAX 14 allows. Soft hyphens break under all, and nothing breaks within a figure.
    """
    spaces_alone = line_break == "keep_all" or not (line_break == "anywhere" or has_phrases(lang))
    if spaces_alone and _WORDS.fullmatch(line):
        return line  # as most copy is: nothing but words, which break at their spaces
    allowed = _opportunities(line, lang, line_break)
    marked = line[:1]
    for at, char in enumerate(line[1:], start=1):
        spaced = _SPACE.match(line[at - 1]) is not None
        if at in allowed and not spaced:
            marked += ZERO_WIDTH_SPACE
        elif at not in allowed and spaced and not _SPACE.match(char):
            marked += WORD_JOINER
        marked += char
    return marked


def parts(word: str, lang: str) -> list[tuple[str, Joint]]:
    """An over-wide word in the pieces that UAX 14 and its language allow, each with the joint
    behind it. Words of scripts that write with spaces are hyphenated, or left whole."""
    web = figures.WEB_NAME.fullmatch(word)
    borders = _web_borders(word, 0) if web else _uax14(word, lang) & _cluster_borders(word)
    pieces = list(_between(word, borders))
    found: list[tuple[str, Joint]] = []
    for piece in pieces:
        whole = web or not piece.isalpha()
        found += [(piece, "")] if whole else _hyphenated(piece, lang)
        if not web and script(piece[-1]) == "Hang":
            found[-1] = (found[-1][0], "cut")  # Korean keeps its words whole
    return found


def _opportunities(line: str, lang: str, line_break: LineBreak) -> set[int]:
    tied = {at for start, end in figures.ties(line) for at in range(start + 1, end)}
    web = [found.span() for found in figures.WEB_NAME.finditer(line)]
    tied |= {at for start, end in web for at in range(start + 1, end)}
    parser = None if line_break in ("keep_all", "anywhere") else _phrase_parser(lang)
    phrases = set(accumulate(map(len, parser.parse(line)))) if parser and line else set()
    allowed = {
        at
        for at in (_uax14(line, lang) & _cluster_borders(line)) - tied
        if _allows(line, at, line_break, None if parser is None else phrases)
    }
    if line_break != "keep_all":
        for start, end in web:
            allowed |= _web_borders(line[start:end], start)
    return allowed


def _allows(line: str, at: int, line_break: LineBreak, phrases: set[int] | None) -> bool:
    """Whether a break that UAX 14 allows before the character `at` is wanted."""
    before, after = line[at - 1], line[at]
    if _SPACE.match(before) or before in (ZERO_WIDTH_SPACE, SOFT_HYPHEN):
        return True
    if line_break == "keep_all":
        return False
    if _is_loose(before) or _is_loose(after):
        return line_break == "anywhere" or (phrases is not None and at in phrases)
    if phrases is not None and script(before) == "Thai":
        return at in phrases
    if before in _HYPHENS:
        left = regex.search(r"[\p{L}\p{N}]*$", line[: at - 1]).group()
        right = regex.match(r"[\p{L}\p{N}]*", line[at:]).group()
        return min(len(left), len(right)) > _SHORT
    return True


def _uax14(line: str, lang: str) -> set[int]:
    """Where UAX 14 allows a break, with the strict rules of Japanese for small kana."""
    return set(accumulate(map(len, LineBreaker(line, f"{lang}@lb=strict")))) - {len(line)}


def _cluster_borders(line: str) -> set[int]:
    found = line if line.isascii() else clusters(line)
    return set(accumulate(map(len, found)))


def _web_borders(name: str, start: int) -> set[int]:
    """Where an address may go on in the next line: after a slash, or before what a question mark
    opens; the line's end must not look like a hyphen or a full stop."""
    return {
        start + found.end()
        for found in regex.finditer(r"(?<=[^/:])/(?=[^/])|.(?=[?&#])", name)
        if 0 < found.end() < len(name)
    }


def _hyphenated(word: str, lang: str) -> list[tuple[str, Joint]]:
    """A word in syllables, if its language's rules are known; else whole."""
    hyphenator = _hyphenator(lang)
    if hyphenator is None or len(word) < _LEAST_WORD:
        return [(word, "")]
    syllables = list(_between(word, hyphenator.positions(word)))
    return [*((one, "hyphen") for one in syllables[:-1]), (syllables[-1], "")]


def _between(text: str, borders: Iterable[int]) -> Iterator[str]:
    for start, end in pairwise(sorted({0, len(text), *borders})):
        yield text[start:end]


def _is_loose(char: str) -> bool:
    wide_punctuation = "\u3000" <= char <= "\u303f" or "\uff00" <= char <= "\uffef"
    return wide_punctuation or script(char) in _LOOSE


@lru_cache
def _hyphenator(lang: str) -> pyphen.Pyphen | None:
    known = pyphen.language_fallback(lang.replace("-", "_"))
    return pyphen.Pyphen(lang=known, left=2, right=3) if known else None


@lru_cache
def _phrase_parser(lang: str) -> budoux.Parser | None:
    tag = lang.lower()
    if tag.startswith("ja"):
        return budoux.load_default_japanese_parser()
    if tag.startswith("zh"):
        if is_traditional(tag):
            return budoux.load_default_traditional_chinese_parser()
        return budoux.load_default_simplified_chinese_parser()
    if tag.startswith("th"):
        return budoux.load_default_thai_parser()
    return None
