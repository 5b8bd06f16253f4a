"""From a client's string to words ready to be set: clean, with language, direction and breaks."""

import re
import unicodedata
from dataclasses import dataclass

import regex

from deployments.postprocess.typesetting import direction as bidi
from deployments.postprocess.typesetting import languages
from deployments.postprocess.typesetting.breaks import (
    SOFT_HYPHEN,
    SPACES,
    WORD_JOINER,
    ZERO_WIDTH_SPACE,
    LineBreak,
    breakable,
)
from deployments.postprocess.typesetting.direction import Direction

# What ends a line, as Unicode has it: LF, VT, FF, CR, NEL, the line and paragraph separators.
_NEW_LINE = regex.compile("\r\n|[\n\x0b\x0c\r\x85\u2028\u2029]")
_TAG_SEQUENCE = "\U0001f3f4[\U000e0020-\U000e007e]++\U000e007f"  # the flag of a part of a country
# C0 and C1 controls (less the newline), annotation anchors, tags, the byte order mark and friends.
_CONTROL = regex.compile(
    f"({_TAG_SEQUENCE})|"
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2061-\u2064\u206a-\u206f\ufff9-\ufffb"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff\ud800-\udfff]|^\ufeff"
)
# More marks on one letter than any language writes; they would reach into other lines.
_MARK = (
    "[\u0300-\u034e\u0350-\u036f\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u20d0-\u20df\u20e1\u20e5-\u20f0\ufe20-\ufe2f]"
)
_HEAPED = regex.compile(f"({_MARK}{{3}}){_MARK}+")
# NFC would put other characters for these: the forms of Han that a name is written in.
_NORMAL = regex.compile("[^\uf900-\ufaff\U0002f800-\U0002fa1f]+")
# Arabic, Syriac and their kin are written in one stroke.
_ROW = regex.compile("  +")
# strip() takes characters, not ranges.
_SPACES = "".join(chr(c) for c in range(0x3001) if regex.match(f"[{SPACES}]", chr(c)))
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
        """The words without marks of where they may break."""
        return _unmarked("\n".join(p.text for p in self.paragraphs))


def prepare(
    text: str,
    lang: str | None = None,
    direction: Direction = "auto",
    line_break: LineBreak = "auto",
) -> Copy:
    """Clean `text`, split it into paragraphs at line ends, and mark where lines may break. A blank
    line between others is a paragraph without text.

    `lang` is a BCP 47 tag; where None, its letters tell it. `direction` "auto": as
    `direction.is_rtl` finds it for each paragraph. `paragraphs` is empty when nothing
    visible is left.
    """
    clean, warnings = sanitise(text)
    tag = lang or languages.guess(clean)
    lines = [_spaced(line) if _is_visible(line) else "" for line in clean.split("\n")]
    seen = [number for number, line in enumerate(lines) if line]
    return Copy(
        tuple(
            Paragraph(breakable(line, tag, line_break), bidi.is_rtl(line, tag, direction))
            for line in (lines[seen[0] : seen[-1] + 1] if seen else ())
        ),
        tag,
        tracked=not _JOINED.search(clean),
        warnings=warnings,
    )


def sanitise(text: str) -> tuple[str, tuple[str, ...]]:
    """NFC but for compatibility ideographs, without controls, embeddings and overrides of the
    direction, and with one kind of line end; and warnings."""
    lines = _NEW_LINE.sub("\n", text).replace("\t", " ")
    normal = _NORMAL.sub(lambda found: unicodedata.normalize("NFC", found.group()), lines)
    without_bidi = bidi.UNSAFE.sub("", normal)
    clean = _CONTROL.sub(r"\1", without_bidi)
    bounded = _HEAPED.sub(r"\1", clean)
    warnings = []
    if bounded != clean:
        warnings.append("marks heaped on a letter were removed, but for the first three")
    if without_bidi != normal:
        warnings.append("characters that override the text direction were removed")
    if clean != without_bidi:
        warnings.append("control characters were removed")
    return bounded, tuple(warnings)


def _unmarked(text: str) -> str:
    for mark in (ZERO_WIDTH_SPACE, WORD_JOINER, SOFT_HYPHEN):
        text = text.replace(mark, "")
    return text


def ink_length(text: str) -> int:
    """How many characters of `text` are neither spaces nor marks of breaks or of direction.

    Cleaning and breaking move only those, so this counts a place alike before and after.
    """
    return len("".join(bidi.MARKS.sub("", _unmarked(text)).split()))


def is_cursive(word: str) -> bool:
    """Whether its letters are written in one stroke, which no line break may cut."""
    return _CURSIVE.search(word) is not None


def _spaced(line: str) -> str:
    """`line` with one space for each row of them; wide and narrow ones keep their widths."""
    spaced: str = _ROW.sub(" ", line).strip(_SPACES)
    return spaced


def _is_visible(line: str) -> bool:
    """Whether there is more than spaces, marks without a letter, joiners and the like."""
    return any(unicodedata.category(char)[0] not in "ZMC" for char in line)
