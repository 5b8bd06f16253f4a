"""Words in capitals, as their language writes them, but for what is told by its case."""

import unicodedata
from collections.abc import Sequence
from itertools import accumulate

import regex

from deployments.postprocess.typesetting.figures import cased

# Letters whose capitals Unicode's own table gets wrong for readers: a micro sign would become a
# Greek letter that reads as M, Georgian has no capitals in running words, SS is another word.
_OWN = str.maketrans({"µ": "µ", "ß": "ẞ", "և": "ԵՎ"})
_KEPT = regex.compile(r"[µ\p{Georgian}]")
_DOTTED = ("tr", "az", "tt", "crh")  # languages that write i with and without a dot
_GREEK = regex.compile(r"[\p{Greek}\p{M}]+")
# Tonos, varia, perispomeni, breathings and iota subscript: capitals go without.
_GREEK_MARKS = regex.compile("[\u0300\u0301\u0342\u0313\u0314\u0345]")


def capitals(pieces: Sequence[str], lang: str) -> list[str]:
    """`pieces` of one text in capitals, by the rules of a BCP 47 language; but for units, handles,
    hashtags, addresses and brands that begin small, which capitals would make others of.

    Greek capitals have no tonos, but for the word that means "or"; dialytika stay.
    """
    whole = "".join(pieces)
    kept = {at for start, end in cased(whole) for at in range(start, end)}
    ends = list(accumulate(map(len, pieces)))
    return [
        _outside(piece, {at - end + len(piece) for at in kept}, lang)
        for piece, end in zip(pieces, ends, strict=True)
    ]


def _outside(piece: str, kept: set[int], lang: str) -> str:
    done, start = "", 0
    for at in range(1, len(piece) + 1):
        if at == len(piece) or (at in kept) != (start in kept):
            stretch = piece[start:at]
            done += stretch if start in kept else _upper(stretch, lang)
            start = at
    return done


def _upper(words: str, lang: str) -> str:
    if lang.lower().split("-")[0] in _DOTTED:
        words = words.replace("i", "İ")
    words = _GREEK.sub(lambda word: _greek(word.group()), words.translate(_OWN))
    return "".join(char if _KEPT.match(char) else char.upper() for char in words)


def _greek(word: str) -> str:
    normal = unicodedata.normalize("NFC", word)
    if normal in ("ή", "ἤ"):
        return "Ή"
    bare = _GREEK_MARKS.sub("", unicodedata.normalize("NFD", word))
    return unicodedata.normalize("NFC", bare)
