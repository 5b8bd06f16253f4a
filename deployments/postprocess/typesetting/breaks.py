"""Where lines may break: U+200B between phrases or characters of scripts without spaces."""

from functools import lru_cache
from itertools import pairwise
from typing import Literal

import budoux
import regex
from fontTools.unicodedata import script

from deployments.postprocess.typesetting.languages import is_traditional

LineBreak = Literal["auto", "keep_all", "anywhere", "phrase"]
ZERO_WIDTH_SPACE = "\u200b"
_CLUSTER = regex.compile(r"\X")
# Scripts whose lines may break between any two characters, as a reader of them would allow.
_LOOSE = frozenset({"Hang", "Hani", "Hira", "Kana", "Bopo"})
_NOT_FIRST = frozenset(
    "!%),.:;?]}¢°·’”…‰′″℃、。々〉》」』】〕〗〙〟ぁぃぅぇぉっゃゅょゎゕゖ゛゜ゝゞ"
    "ァィゥェォッャュョヮヵヶ・ーヽヾ！％），．：；？］｝～｡｣､･"
)
_NOT_LAST = frozenset("$([{£¥‘“〈《「『【〔〖〘〝＄（［｛｢￡￥₩#＃")


def clusters(text: str) -> list[str]:
    """What a reader takes for characters: letters with their marks, conjuncts, whole emoji."""
    return [str(cluster) for cluster in _CLUSTER.findall(text)]


def has_phrases(lang: str) -> bool:
    """Whether phrases can be found in the language of the BCP 47 tag."""
    return _phrase_parser(lang) is not None


def breakable(line: str, lang: str, line_break: LineBreak = "auto") -> str:
    """`line` with U+200B wherever it may break besides its spaces.

    auto: between the phrases of Japanese, Chinese and Thai, nowhere else; as phrase does, which
    languages that write with spaces cannot have. keep_all: nowhere. anywhere: between any two
    characters of Hangul, Han and kana, except before closing and after opening punctuation, and
    between a number and its unit.
    """
    if line_break == "keep_all":
        return line
    if line_break == "anywhere":
        return _loose(line)
    parser = _phrase_parser(lang)
    return _joined(line, parser.parse(line)) if parser else line


def _joined(line: str, phrases: list[str]) -> str:
    """The phrases with breaks between them, less those that would split a cluster."""
    borders, at = set(), 0
    for cluster in clusters(line):
        at += len(cluster)
        borders.add(at)
    joined, at = "", 0
    for phrase in phrases:
        may = at in borders and not (joined[-1:].isspace() or phrase[0].isspace())
        joined += ZERO_WIDTH_SPACE + phrase if may else phrase
        at += len(phrase)
    return joined


def _loose(line: str) -> str:
    found = clusters(line)
    joined = "".join(found[:1])
    for before, after in pairwise(found):
        loose = _is_loose(before[0]) or _is_loose(after[0])
        tied = before.isspace() or after.isspace() or before.isdigit()
        if loose and not tied and before not in _NOT_LAST and after not in _NOT_FIRST:
            joined += ZERO_WIDTH_SPACE
        joined += after
    return joined


def _is_loose(char: str) -> bool:
    wide_punctuation = "\u3000" <= char <= "\u303f" or "\uff00" <= char <= "\uffef"
    return wide_punctuation or script(char) in _LOOSE


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
