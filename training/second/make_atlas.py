"""Rasterise the world's objects from Noto Emoji's vectors into `atlas.webp`.

Needed only when `OBJECTS` changes; rendering reads the atlas, never the vectors. Wants resvg-py and
the package @iconify-json/noto: `python -m training.second.make_atlas --icons .../icons.json`.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
from pathlib import Path

from PIL import Image

from training.second.catalogue import OBJECTS
from training.second.sprites import ATLAS_COLUMNS, ATLAS_PATH, ATLAS_TILE

SUPERSAMPLING = 4
OPAQUE = 8  # of 255: less does not count as part of the object


def rasterise(body: str) -> Image.Image:
    """An icon's SVG body, 128 units wide, as a square RGBA tile that it fills in one direction."""
    side = ATLAS_TILE * SUPERSAMPLING
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 128 128">{body}</svg>'
    )
    resvg = importlib.import_module("resvg_py")
    png = bytes(resvg.svg_to_bytes(svg_string=svg, width=side, height=side))
    drawn = Image.open(io.BytesIO(png)).convert("RGBA")
    solid = drawn.getchannel("A").point([255 if value > OPAQUE else 0 for value in range(256)])
    cut = drawn.crop(solid.getbbox())
    scale = ATLAS_TILE / max(cut.size)
    size = (round(cut.width * scale), round(cut.height * scale))
    small = cut.convert("RGBa").resize(size, Image.Resampling.BOX).convert("RGBA")
    tile = Image.new("RGBA", (ATLAS_TILE, ATLAS_TILE))
    tile.paste(small, ((ATLAS_TILE - small.width) // 2, (ATLAS_TILE - small.height) // 2))
    return tile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="icons.json of the package")
    icons = json.loads(parser.parse_args().icons.read_text())["icons"]
    rows = -(-len(OBJECTS) // ATLAS_COLUMNS)
    atlas = Image.new("RGBA", (ATLAS_COLUMNS * ATLAS_TILE, rows * ATLAS_TILE))
    for index, icon in enumerate(OBJECTS.values()):
        row, column = divmod(index, ATLAS_COLUMNS)
        atlas.paste(rasterise(icons[icon]["body"]), (column * ATLAS_TILE, row * ATLAS_TILE))
    atlas.save(ATLAS_PATH, lossless=True, quality=100, method=6)
    print(f"{len(OBJECTS)} sprites, {ATLAS_PATH.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
