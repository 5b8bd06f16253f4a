"""Reading font files: what a face is called, how bold it can be, under which licence it comes."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTFont, TTLibError

_READ = (".ttf", ".otf")
_NOT_READ = (".ttc", ".otc", ".woff", ".woff2", ".eot", ".pfb", ".pfa", ".dfont")
_LICENCE_FILES = ("OFL*", "LICENSE*", "LICENCE*", "COPYING*")
_OUTLINES = {"glyf", "CFF ", "CFF2"}
_LICENCE, _LICENCE_URL = 13, 14  # in the name table
_ITALIC = 1  # bit 0 of OS/2's fsSelection


@dataclass(frozen=True, slots=True)
class Face:
    """One font file.

    family: an italic's ends in " Italic". weights: the least and the greatest, 1 to 1000; equal
    where the file has one only. licence: the font's own words, or the text beside it; None where
    nothing is said. colour: its glyphs are little pictures.
    """

    family: str
    path: Path
    weights: tuple[int, int]
    licence: str | None
    colour: bool = False


def read_folder(folder: Path) -> tuple[Face, ...]:
    """Every font below `folder`, by family and weight; other files are left alone.

    Raises ValueError naming the folder that is not there, or the file that cannot be used.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        if path.suffix.lower() in _NOT_READ:
            raise ValueError(f"{path}: convert it to .ttf or .otf, or take it out of the folder")
    faces = [read_face(path) for path in files if path.suffix.lower() in _READ]
    for face in faces:
        if not characters(face.path):
            raise ValueError(f"{face.path}: the font has no characters")
    return tuple(sorted(faces, key=lambda face: (face.family, face.weights, face.path)))


def read_face(path: Path) -> Face:
    """The face in a TrueType or OpenType file. Raises ValueError naming the file and the fault."""
    with _opened(path) as font:
        return _face(path, font)


def characters(path: Path) -> frozenset[int]:
    """The code points that the font has glyphs for. Raises ValueError as read_face does."""
    with _opened(path) as font:
        return frozenset(font.getBestCmap() or ())


def baseline(path: Path) -> float:
    """How far, in ems, the baseline lies below the middle of the line box."""
    with _opened(path) as font:
        line = font["hhea"]
        return float((line.ascent + line.descent) / 2 / font["head"].unitsPerEm)


@contextmanager
def _opened(path: Path) -> Iterator[TTFont]:
    try:
        with TTFont(path, lazy=True) as font:
            _check_whole(path, font)
            yield font
    except (TTLibError, OSError, AssertionError, KeyError, IndexError, struct.error) as error:
        raise ValueError(f"{path}: this is no sound font ({error})") from error


def _face(path: Path, font: TTFont) -> Face:
    family = font["name"].getBestFamilyName()
    if not family:
        raise ValueError(f"{path}: the font has no name")
    if "CBDT" not in font and ("COLR" in font or "sbix" in font):
        raise ValueError(f"{path}: colour glyphs are drawn from CBDT tables only")
    if "CBDT" not in font and not _OUTLINES & set(font.keys()):
        raise ValueError(f"{path}: the font has no outlines")
    if font["OS/2"].fsSelection & _ITALIC and not family.endswith("Italic"):
        family += " Italic"
    return Face(family, path, _weights(font), _licence(path, font), "CBDT" in font)


def _check_whole(path: Path, font: TTFont) -> None:
    size = path.stat().st_size
    for tag, entry in font.reader.tables.items():
        if entry.offset + entry.length > size:
            raise ValueError(f"{path}: the file ends within its table {tag!r}")


def _weights(font: TTFont) -> tuple[int, int]:
    axes = font["fvar"].axes if "fvar" in font else ()
    for axis in axes:
        if axis.axisTag == "wght":
            return round(axis.minValue), round(axis.maxValue)
    own = int(font["OS/2"].usWeightClass)
    return own, own


def _licence(path: Path, font: TTFont) -> str | None:
    names = font["name"]
    said = [names.getDebugName(number) for number in (_LICENCE, _LICENCE_URL)]
    own = " ".join(text.strip() for text in said if text and text.strip())
    if own:
        return own
    for pattern in _LICENCE_FILES:
        for beside in sorted(path.parent.glob(pattern)):
            if beside.is_file() and beside.suffix.lower() in ("", ".txt", ".md"):
                return beside.read_text(encoding="utf-8", errors="replace").strip()
    return None
