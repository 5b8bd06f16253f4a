"""How letters stand in their line: where the eye sees its middle, and how far they reach from it.

Fonts differ in what they leave free above and below, so both are measured on drawn letters.
"""

import re
from dataclasses import replace
from functools import lru_cache

import numpy as np

from deployments.postprocess.typesetting import drawing, fonts
from deployments.postprocess.typesetting.drawing import Setting, Typeface
from deployments.postprocess.typesetting.languages import scripts
from deployments.postprocess.typesetting.lines import Line

# A letter of common height for each script; capitals for those that have them.
_LETTER = {
    "Arab": "\u0643", "Hebr": "\u05d4",
    "Thai": "\u0e01", "Laoo": "\u0e81", "Khmr": "\u1780", "Mymr": "\u1000", "Deva": "\u0915",
    "Beng": "\u0995", "Taml": "\u0b95", "Telu": "\u0c05", "Gujr": "\u0a95", "Guru": "\u0a15",
    "Knda": "\u0c95", "Mlym": "\u0d15", "Orya": "\u0b15", "Sinh": "\u0d9a", "Geor": "\u10d0",
    "Armn": "\u0540", "Ethi": "\u12a0",
}  # fmt: skip
_SINK_CJK = 0.05  # of Hangul, Han and capitals alike, so that lines of a mixture agree
_SIZE = 100  # pixels, at which letters are measured
# Scripts whose letters stay within any line: Hangul, Han, kana, and Latin without accents.
_LOW = re.compile("[\x20-\x7e\u2010-\u2027\u20a9\u20ac\u3000-\u30ff\u3400-\u9fff\uac00-\ud7a3]*")
_ROOMY = 3.0  # ems, a line height that no marks outgrow
_AIR = 0.14  # ems kept between the ink of two lines, half of it on each side


def sink(family: str, text: str) -> float:
    """How far, in ems, the middle of the letters of `text` lies below that of their line box."""
    if ord("永") in fonts.coverage(family):
        return _SINK_CJK
    for script, _ in scripts(text).most_common():
        letter = _LETTER.get(script, "H")
        if ord(letter) in fonts.coverage(family):
            return _sink(family, letter)
    return _sink(family, "H") if ord("H") in fonts.coverage(family) else 0.0


def centred(face: Typeface, text: str) -> Typeface:
    """`face`, its sink such that high and low marks of `text` reach equally far from the middle."""
    words = _marked(text)
    if not words:
        return face
    top, bottom = _ink(face, words)
    return replace(face, sink=round(face.sink + (top + bottom) / 2, 2))


def leading(face: Typeface, text: str, least: float) -> float:
    """The line height in ems, at least `least`, within which all marks of `text` stay."""
    words = _marked(text)
    if not words:
        return least
    top, bottom = _ink(face, words)
    return max(least, round(2 * max(-top, bottom) + _AIR, 2))


def _marked(text: str) -> str:
    """The words that may reach beyond a usual line."""
    return " ".join(sorted({word for word in text.split() if not _LOW.fullmatch(word)}))


@lru_cache
def _sink(family: str, letter: str) -> float:
    top, bottom = _ink(Typeface((family,), 700, 0.0, "en"), letter)
    return round((top + bottom) / 2, 2)


@lru_cache(maxsize=4096)
def _ink(face: Typeface, text: str) -> tuple[float, float]:
    """The uppermost and lowest ink, in ems from the middle of the line box, down being positive."""
    line = Line(text, face.advance(text), rtl=False)
    tile = drawing.glyphs(Setting(face, (line,), _SIZE, _ROOMY, "start"), 0, 0)
    rows = np.flatnonzero(tile.mask.max(axis=1) >= 128)
    if not len(rows):
        return 0.0, 0.0
    middle = _ROOMY * _SIZE / 2 - tile.y
    return float(rows[0] - middle) / _SIZE, float(rows[-1] + 1 - middle) / _SIZE
