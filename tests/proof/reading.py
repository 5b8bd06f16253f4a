"""Reads an advert back: lifts each layer's ink off its picture, then lets tesseract read it.

Only what a checker has is used: the delivered file, the clean picture, and the report's boxes and
inks. Backings are not needed to be known, since they only ever move the ground away from the ink.
"""

import csv
import os
import shutil
import subprocess
import tempfile
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.schema.reports import LayerReport

INSTALL = "apt-get install tesseract-ocr tesseract-ocr-kor tesseract-ocr-eng"
_SIZES = (36.0, 42.0, 50.0, 64.0)  # pixels of font size that tesseract is shown
_ONE_LINE, _WORD = "7", "5"  # of tesseract's page modes and levels
_MARGIN = 24
_TIMEOUT_S = 120
_GROUND = 70  # percentile of the distance from the ink that is surely ground
_DISTINCT = 60  # levels that a picture's colour must be from the ink to tell them apart
_FAINT = 0.25  # alphas below are noise, those as near to 1 are whole


@dataclass(frozen=True)
class Line:
    """The ink of one line, float32 (h, w) from 0 to 1, its font's size in pixels and language."""

    ink: NDArray[np.float32]
    size: float
    lang: str

    def sheet(self, size: float) -> NDArray[np.uint8]:
        """Dark words on white, uint8, as of a font of `size` pixels."""
        scale = size / self.size
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        large = cv2.resize(self.ink, None, fx=scale, fy=scale, interpolation=way)
        page = np.pad(255 * (1 - np.clip(large, 0, 1)), _MARGIN, constant_values=255)
        return page.astype(np.uint8)


def ink_alpha(
    delivered: NDArray[np.uint8],
    clean: NDArray[np.uint8],
    ink: tuple[int, ...],
    rows: tuple[int, int],
) -> NDArray[np.float32]:
    """How much of each pixel is ink, 0 to 1, from two pictures uint8 (h, w, 3).

    alpha = 1 - |C - F| / |B - F| for the delivered colour C, the ink F and the ground B, which is
    the clean picture or, under a pill or plate, the ground of the box itself, whose first and last
    row are `rows`. Ink is what is ink over both.
    """
    colour = np.array(ink, np.float32)
    seen = np.linalg.norm(delivered - colour, axis=2)
    bare = np.linalg.norm(clean - colour, axis=2)
    over_backing = 1 - seen / max(1.0, float(np.percentile(seen[slice(*rows)], _GROUND)))
    over_picture = np.where(bare > _DISTINCT, 1 - seen / np.maximum(bare, 1), 1)
    alpha = np.minimum(over_backing, over_picture)
    return np.clip((alpha - _FAINT) / (1 - 2 * _FAINT), 0, 1).astype(np.float32)


def lines(
    delivered: NDArray[np.uint8], clean: NDArray[np.uint8], layer: LayerReport, lang: str
) -> list[Line]:
    """The lines of one layer, ready to be read. lang: tesseract's name of the language."""
    left, top, width, height = layer.box
    em = layer.font_size_px
    pill = layer.role in ("cta", "badge")
    across, down = (-round(0.45 * em), -round(0.25 * em)) if pill else (round(0.1 * em), 0)
    columns = slice(max(0, left - across), left + width + across)
    ink = tuple(int(layer.fill[at : at + 2], 16) for at in (1, 3, 5))
    alpha = ink_alpha(delivered[:, columns], clean[:, columns], ink, (top, top + height))
    step = height / len(layer.lines)
    found = []
    for number in range(len(layer.lines)):
        first, last = top + number * step - down, top + (number + 1) * step + down
        found.append(Line(alpha[max(0, round(first)) : round(last)], em, lang))
    return found


def read(words: Sequence[Line]) -> list[tuple[str, ...]]:
    """What tesseract reads in each line at several sizes, the reading it is surest of first.

    Raises RuntimeError where tesseract is not installed. Two processes at once, each of one
    thread and at most 120 s.
    """
    if shutil.which("tesseract") is None:
        raise RuntimeError(f"tesseract is missing; on Debian and Ubuntu: {INSTALL}")
    readings: list[list[tuple[float, str]]] = [[] for _ in words]
    with ThreadPoolExecutor(2) as workers:
        jobs = []
        for lang in sorted({word.lang for word in words}):
            numbers = [at for at, word in enumerate(words) if word.lang == lang]
            for size in _SIZES:
                sheets = [words[at].sheet(size) for at in numbers]
                jobs.append((numbers, workers.submit(_read_sheets, sheets, lang)))
        for numbers, job in jobs:
            for at, reading in zip(numbers, job.result(), strict=True):
                readings[at].append(reading)
    return [tuple(text for _, text in sorted(found, reverse=True)) for found in readings]


def _read_sheets(sheets: Sequence[NDArray[np.uint8]], lang: str) -> list[tuple[float, str]]:
    """For each sheet of one line, tesseract's confidence, 0 to 100, and its reading."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{at}.png" for at in range(len(sheets))]
        for file, sheet in zip(files, sheets, strict=True):
            cv2.imwrite(str(file), sheet)
        listed = Path(folder) / "pages.txt"
        listed.write_text("\n".join(map(str, files)), encoding="utf-8")
        done = subprocess.run(
            ["tesseract", str(listed), "-", "-l", lang, "--psm", _ONE_LINE, "--dpi", "150", "tsv"],
            check=True,
            capture_output=True,
            timeout=_TIMEOUT_S,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
    found: list[list[tuple[float, str]]] = [[] for _ in sheets]
    for row in csv.DictReader(
        done.stdout.decode("utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE
    ):
        if row["level"] == _WORD:
            found[int(row["page_num"]) - 1].append((float(row["conf"]), row["text"]))
    return [
        (
            sum(sure * len(text) for sure, text in line) / sum(len(text) for _, text in line)
            if any(text for _, text in line)
            else 0.0,
            " ".join(text for _, text in line),
        )
        for line in found
    ]


def plain(text: str) -> str:
    """Words as they are compared: composed, without spaces."""
    return "".join(unicodedata.normalize("NFC", text).split())


def agrees(readings: Sequence[tuple[str, ...]], claimed: str) -> bool:
    """Whether the lines, each in one of its readings, make up the words that are claimed."""
    ends = {0}
    wanted = plain(claimed)
    for line in readings:
        ends = {
            end + len(plain(text))
            for end in ends
            for text in line
            if wanted.startswith(plain(text), end)
        }
    return len(wanted) in ends


def accuracy(text: str, wanted: str) -> float:
    """1 less the edits from what was read to what was wanted, a share of the wanted length."""
    one, other = plain(text), plain(wanted)
    row = list(range(len(other) + 1))
    for at, char in enumerate(one, 1):
        above, row[0] = row[0], at
        for j, wish in enumerate(other, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (char != wish))
    return max(0.0, 1 - row[-1] / len(other))
