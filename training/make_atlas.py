"""Cut the sprites of the world's objects out of the Noto Color Emoji font into `atlas.png`.

Needed only when `training.world.OBJECTS` changes; rendering reads the atlas, never the font.
Run `python -m training.make_atlas --font .../NotoColorEmoji.ttf` (Debian: fonts-noto-color-emoji).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from training.world import ATLAS_COLUMNS, ATLAS_PATH, ATLAS_TILE, OBJECTS

FONT_SIZE = 109  # the only bitmap size of the font; its glyphs are 136 x 128 pixels


def glyph(font: ImageFont.FreeTypeFont, character: str) -> Image.Image:
    """One emoji as a square RGBA tile, centred, scaled down where wider than the tile."""
    canvas = Image.new("RGBA", (200, 200))
    ImageDraw.Draw(canvas).text((20, 20), character, font=font, embedded_color=True)
    cut = canvas.crop(canvas.getbbox())
    cut.thumbnail((ATLAS_TILE, ATLAS_TILE), Image.Resampling.LANCZOS)
    tile = Image.new("RGBA", (ATLAS_TILE, ATLAS_TILE))
    tile.paste(cut, ((ATLAS_TILE - cut.width) // 2, (ATLAS_TILE - cut.height) // 2))
    return tile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--font",
        type=Path,
        default=Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"),
    )
    font = ImageFont.truetype(parser.parse_args().font, FONT_SIZE)
    rows = -(-len(OBJECTS) // ATLAS_COLUMNS)
    atlas = Image.new("RGBA", (ATLAS_COLUMNS * ATLAS_TILE, rows * ATLAS_TILE))
    for index, character in enumerate(OBJECTS.values()):
        row, column = divmod(index, ATLAS_COLUMNS)
        atlas.paste(glyph(font, character), (column * ATLAS_TILE, row * ATLAS_TILE))
    atlas.save(ATLAS_PATH, optimize=True)
    print(f"{len(OBJECTS)} sprites, {ATLAS_PATH.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
