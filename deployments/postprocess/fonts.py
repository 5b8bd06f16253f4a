"""Which faces, in which order, for which language; and which characters they can show."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fontTools.ttLib import TTFont
from justmytype import FontRegistry

KOREAN, JAPANESE = "Noto Sans KR", "Noto Sans JP"
SIMPLIFIED, TRADITIONAL = "Noto Sans SC", "Noto Sans TC"
FAMILIES = (KOREAN, JAPANESE, SIMPLIFIED, TRADITIONAL)


@dataclass(frozen=True, slots=True)
class Face:
    """A variable font of all weights from 100 to 900."""

    family: str
    path: Path


@lru_cache
def faces() -> tuple[Face, ...]:
    """Every face, from installed font packages only, so that all machines draw alike.

    Raises RuntimeError naming the package where a face is missing.
    """
    registry = FontRegistry(blocklist={"system-fonts"})
    found = []
    for family in FAMILIES:
        info = registry.find_font(family)
        if info is None:
            raise RuntimeError(f"The face {family} is missing: install justmytype-intl-cjk.")
        found.append(Face(family, info.path))
    return tuple(found)


def families_for(lang: str, font: str = "auto") -> tuple[str, ...]:
    """Families in the order they are tried: the chosen one first, then the language's own.

    Han characters look different in Korea, Japan and China, so the order decides their forms.
    """
    tag = lang.lower()
    if tag.startswith("ja"):
        own = JAPANESE
    elif tag in ("zh-hant", "zh-tw", "zh-hk", "zh-mo") or tag.startswith("zh-hant-"):
        own = TRADITIONAL
    elif tag.startswith("zh"):
        own = SIMPLIFIED
    else:
        own = KOREAN
    first = own if font == "auto" else font
    return tuple(dict.fromkeys((first, own, *FAMILIES)))


@lru_cache
def coverage(family: str) -> frozenset[int]:
    """The code points that `family` has glyphs for."""
    path = next(face.path for face in faces() if face.family == family)
    with TTFont(path, lazy=True) as font:
        return frozenset(font.getBestCmap())


def missing(text: str, families: tuple[str, ...]) -> str:
    """The visible characters of `text` that none of `families` can show, each once, sorted."""
    wanted = {char for char in text if not _is_invisible(char)}
    for family in families:
        wanted = {char for char in wanted if ord(char) not in coverage(family)}
        if not wanted:
            break
    return "".join(sorted(wanted))


def without(text: str, characters: str) -> str:
    """`text` less `characters` and the joiners and selectors that would be left dangling."""
    if not characters:
        return text
    gone = set(characters) | {"\u200d", "\ufe0e", "\ufe0f"}
    return "".join(char for char in text if char not in gone)


def _is_invisible(char: str) -> bool:
    is_format = unicodedata.category(char) in ("Cc", "Cf")
    return char.isspace() or is_format or "\ufe00" <= char <= "\ufe0f"
