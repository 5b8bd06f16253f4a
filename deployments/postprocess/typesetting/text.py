"""From a client's string to words ready to be set: clean, with language, direction and breaks."""

import re
import unicodedata
from dataclasses import dataclass

from deployments.postprocess.typesetting import direction as bidi
from deployments.postprocess.typesetting import languages
from deployments.postprocess.typesetting.breaks import ZERO_WIDTH_SPACE, LineBreak, breakable
from deployments.postprocess.typesetting.direction import Direction

# C0 and C1 controls (less the newline), annotation anchors, tags, the byte order mark and friends.
_CONTROL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff\u2028\u2029]"
)
# Arabic, Syriac and their kin are written in one stroke.
_CURSIVE = re.compile("[\u0600-\u08ff\ufb50-\ufdff\ufe70-\ufefc]")
# Letters of these blocks join or stack (Arabic to Khmer's neighbours): tracking tears them apart.
_JOINED = re.compile(
    "[\u0600-\u08ff\u0900-\u0dff\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\ufb50-\ufdff\ufe70-\ufefc]"
)


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
    def plain(self) -> str:
        return "\n".join(p.text for p in self.paragraphs).replace(ZERO_WIDTH_SPACE, "")


def prepare(
    text: str,
    lang: str | None = None,
    direction: Direction = "auto",
    line_break: LineBreak = "auto",
) -> Copy:
    """Clean `text`, split it into paragraphs at newlines, and mark where lines may break.

    `lang` is a BCP 47 tag; where None, its letters tell it. `direction` "auto": as
    `direction.is_rtl` finds it for each paragraph. `paragraphs` is empty when nothing
    visible is left.
    """
    clean, warnings = sanitise(text)
    tag = lang or languages.guess(clean)
    lines = [" ".join(line.split()) for line in clean.split("\n")]
    return Copy(
        tuple(
            Paragraph(breakable(line, tag, line_break), bidi.is_rtl(line, tag, direction))
            for line in lines
            if _is_visible(line)
        ),
        tag,
        tracked=not _JOINED.search(clean),
        warnings=warnings,
    )


def sanitise(text: str) -> tuple[str, tuple[str, ...]]:
    """NFC, without controls and without embeddings and overrides of the direction; and warnings."""
    normal = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    normal = normal.replace("\t", " ")
    without_bidi = bidi.UNSAFE.sub("", normal)
    clean = _CONTROL.sub("", without_bidi)
    warnings = []
    if without_bidi != normal:
        warnings.append("characters that override the text direction were removed")
    if clean != without_bidi:
        warnings.append("control characters were removed")
    return clean, tuple(warnings)


def ink_length(text: str) -> int:
    """How many characters of `text` are neither spaces nor U+200B nor marks of direction.

    Cleaning and breaking move only those, so this counts a place alike before and after.
    """
    return len("".join(bidi.MARKS.sub("", text.replace(ZERO_WIDTH_SPACE, "")).split()))


def is_cursive(word: str) -> bool:
    """Whether its letters are written in one stroke, which no line break may cut."""
    return _CURSIVE.search(word) is not None


def capitals(text: str, lang: str | None) -> str:
    """`text` in capitals; in the languages that write i with and without a dot, with it."""
    if lang is not None and lang.lower().split("-")[0] in ("tr", "az"):
        text = text.replace("i", "İ")
    return text.upper()


def _is_visible(line: str) -> bool:
    """Whether there is more than spaces, marks without a letter, joiners and the like."""
    return any(unicodedata.category(char)[0] not in "ZMC" for char in line)
