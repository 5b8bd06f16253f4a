"""From a client's string to words ready to be set: clean, with language, direction and breaks."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import budoux

# Unicode's explicit directional marks, embeddings, overrides and isolates: they can reverse copy.
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# C0 and C1 controls (less the newline), annotation anchors, tags, the byte order mark and friends.
_CONTROL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff\u2028\u2029]"
)
_SCRIPTS = (
    ("hangul", re.compile("[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]")),
    ("kana", re.compile("[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d]")),
    ("han", re.compile("[\u2e80-\u2fdf\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")),
    ("thai", re.compile("[\u0e00-\u0e7f]")),
    ("arabic", re.compile("[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc]")),
    ("hebrew", re.compile("[\u0590-\u05ff\ufb1d-\ufb4f]")),
    ("devanagari", re.compile("[\u0900-\u097f]")),
    ("cyrillic", re.compile("[\u0400-\u052f]")),
    ("greek", re.compile("[\u0370-\u03ff\u1f00-\u1fff]")),
    ("latin", re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")),
)  # fmt: skip
_LANGUAGE = {
    "hangul": "ko", "kana": "ja", "han": "zh-Hans", "thai": "th", "arabic": "ar",
    "hebrew": "he", "devanagari": "hi", "cyrillic": "ru", "greek": "el", "latin": "en",
}  # fmt: skip
# Letters of these blocks join or stack (Arabic to Khmer's neighbours): tracking tears them apart.
_JOINED = re.compile("[\u0600-\u08ff\u0900-\u0dff\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]")
ZERO_WIDTH_SPACE = "\u200b"


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str
    rtl: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """Words ready to be set. `tracked`: letter-spacing may be applied to them."""

    paragraphs: tuple[Paragraph, ...]
    lang: str
    tracked: bool
    warnings: tuple[str, ...] = ()

    @property
    def accented_capitals(self) -> bool:
        return _has_accented_capitals(self.paragraphs)

    @property
    def plain(self) -> str:
        return "\n".join(p.text for p in self.paragraphs).replace(ZERO_WIDTH_SPACE, "")


def prepare(text: str, lang: str | None = None) -> Copy:
    """Clean `text`, split it into paragraphs at newlines, and mark where lines may break.

    `lang` is a BCP 47 tag; where None, the script decides. `paragraphs` is empty when nothing
    visible is left.
    """
    clean, warnings = sanitise(text)
    tag = lang or language(clean)
    lines = [" ".join(line.split()) for line in clean.split("\n")]
    return Copy(
        tuple(
            Paragraph(breakable(line, tag), _is_rtl(line)) for line in lines if _is_visible(line)
        ),
        tag,
        tracked=not _JOINED.search(clean),
        warnings=warnings,
    )


def sanitise(text: str) -> tuple[str, tuple[str, ...]]:
    """NFC, without controls and without characters that override the direction; and warnings."""
    normal = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    normal = normal.replace("\t", " ")
    without_bidi = _BIDI.sub("", normal)
    clean = _CONTROL.sub("", without_bidi)
    warnings = []
    if without_bidi != normal:
        warnings.append("characters that override the text direction were removed")
    if clean != without_bidi:
        warnings.append("control characters were removed")
    return clean, tuple(warnings)


def language(text: str) -> str:
    """A BCP 47 tag guessed from the script; English where there is none.

    Any Hangul means Korean and any kana Japanese, since both mix with Han and Latin; otherwise
    the commonest script decides. Han alone reads as simplified Chinese.
    """
    counts: Counter[str] = Counter()
    for script, pattern in _SCRIPTS:
        counts[script] = len(pattern.findall(text))
    if counts["hangul"] or counts["kana"]:
        return "ko" if counts["hangul"] >= counts["kana"] else "ja"
    script, count = counts.most_common(1)[0]
    return _LANGUAGE[script] if count else "en"


def capitals(text: str, lang: str | None) -> str:
    """`text` in capitals; in the languages that write i with and without a dot, with it."""
    if lang is not None and lang.lower().split("-")[0] in ("tr", "az"):
        text = text.replace("i", "İ")
    return text.upper()


def breakable(line: str, lang: str) -> str:
    """`line` with U+200B between the phrases of languages that write without spaces."""
    parser = _phrase_parser(lang)
    return ZERO_WIDTH_SPACE.join(parser.parse(line)) if parser else line


def _is_visible(line: str) -> bool:
    """Whether there is more than spaces, marks without a letter, joiners and the like."""
    return any(unicodedata.category(char)[0] not in "ZMC" for char in line)


def _is_rtl(line: str) -> bool:
    """The first strong character decides (Unicode Bidirectional Algorithm, rules P2 and P3)."""
    for char in line:
        kind = unicodedata.bidirectional(char)
        if kind in ("L", "R", "AL"):
            return kind != "L"
    return False


@lru_cache(maxsize=1024)
def _has_accented_capitals(paragraphs: tuple[Paragraph, ...]) -> bool:
    return any(
        char.isupper() and unicodedata.decomposition(char)
        for paragraph in paragraphs
        for char in paragraph.text
    )


@lru_cache
def _phrase_parser(lang: str) -> budoux.Parser | None:
    tag = lang.lower()
    if tag.startswith("ja"):
        return budoux.load_default_japanese_parser()
    if tag in ("zh-hant", "zh-tw", "zh-hk", "zh-mo") or tag.startswith("zh-hant-"):
        return budoux.load_default_traditional_chinese_parser()
    if tag.startswith("zh"):
        return budoux.load_default_simplified_chinese_parser()
    if tag.startswith("th"):
        return budoux.load_default_thai_parser()
    return None
