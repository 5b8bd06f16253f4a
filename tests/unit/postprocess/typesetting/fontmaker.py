"""A font of boxes, made on the spot."""

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen


def make_font(path: Path, family: str, weight: int, characters: str, width: int = 500) -> None:
    """Write a TrueType font whose every character is a box, `width` thousandths of an em wide."""
    path.parent.mkdir(exist_ok=True)
    names = [f"box{ord(char)}" for char in characters]
    pen = TTGlyphPen(None)
    pen.moveTo((50, 0))
    for corner in ((50, 700), (width - 50, 700), (width - 50, 0)):
        pen.lineTo(corner)
    pen.closePath()
    box = pen.glyph()
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder([".notdef", *names])
    font.setupCharacterMap(dict(zip(map(ord, characters), names, strict=True)))
    font.setupGlyf(dict.fromkeys([".notdef", *names], box))
    font.setupHorizontalMetrics({name: (width, 50) for name in [".notdef", *names]})
    font.setupHorizontalHeader(ascent=900, descent=-200)
    font.setupOS2(usWeightClass=weight, sTypoAscender=900, sTypoDescender=-200)
    font.setupNameTable({"familyName": family, "styleName": "Regular"})
    font.setupPost()
    font.save(path)
