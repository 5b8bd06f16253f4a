"""The table of docs/models.md: what is drawn as diffusers draws it, by family, dtype, residency.

`SIGNBOARD_WRITE_DOCS=1` draws and writes all of it; else resident models in float32 are drawn,
which is enough to see that the table tells the truth of them (`test_parity` has the other dtypes,
`memory/test_every_family` the other residencies), and the rest of it is read.
"""

import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from deployments.diffusion.engine import admission
from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.load import FAMILIES, load_family
from deployments.diffusion.profile import DiffusionProfile, Relief
from deployments.diffusion.weights.components import SharedComponents
from tests.polling import wait_until
from tests.unit.diffusion.conftest import ProfileOf
from tests.unit.diffusion.families.parity import Architecture, Case
from tests.unit.diffusion.families.test_flux2_klein import KLEIN
from tests.unit.diffusion.families.test_parity import FLUX, SDXL, Z_IMAGE
from tests.unit.diffusion.styles.test_parity import Worn, random_pairs, styled, wear, written

READY_WITHIN_S = 600.0  # a compiler may run
ARCHITECTURES = (Z_IMAGE, SDXL, FLUX, KLEIN)
WRITES = bool(os.environ.get("SIGNBOARD_WRITE_DOCS"))
PAGE = Path(__file__).parents[4] / "docs" / "models.md"
BEGIN, END = "<!-- parity -->", "<!-- /parity -->"
DTYPES = ("float32", "bfloat16", "float16")
RESIDENCIES: dict[str, tuple[Relief, ...]] = {
    "resident": (),
    "text encoder on the host": ("text_encoder_on_host",),
    "fp8 storage": ("text_encoder_on_host", "fp8_storage"),
    "streamed blocks": ("text_encoder_on_host", "streamed_blocks"),
    "asleep between requests": (),
}
VARIANTS = ("plain", "a style", "compiled", "compiled, a style")
HEAD = f"| model | dtype | residency | {' | '.join(VARIANTS)} |"
OFF = re.compile(r" (\d+), [\d.]+ %")
ROUNDED = re.compile(r"t2i \d+, [\d.]+ %, ")
SAME = "as diffusers"
NOT_DRAWN = "not drawn"
ALPHA, WEIGHT = 8.0, 0.7


class Figure(NamedTuple):
    """How far a picture is off: the largest difference in grey levels, and the share of values."""

    levels: int
    share: float

    @property
    def is_parity(self) -> bool:
        return self.levels <= 1 and self.share <= 0.001


def cases(architecture: Architecture) -> list[Case]:
    """One of each kind: of the third round, whose strengths are neither whole nor small."""
    count = len(architecture.pipelines)
    return list(architecture.cases(seed=7, count=3 * count))[2 * count :]


def theirs(
    profile: DiffusionProfile, architecture: Architecture, worn: Worn
) -> dict[str, np.ndarray]:
    """By kind, as diffusers draws it on weights of its own, wearing the style."""
    components = SharedComponents.load(profile.model)
    if worn:
        wear(components.modules, worn)
    torch.set_num_threads(profile.engine.threads)
    return {case[0]: architecture.draw(components, case) for case in cases(architecture)}


def ours(
    profile: DiffusionProfile, architecture: Architecture, reliefs: tuple[Relief, ...], style: bool
) -> dict[str, np.ndarray] | str:
    """By kind, as an engine draws it; or why it refuses to start."""
    engine = Engine(profile, partial(load_family, profile), reliefs)
    try:
        wait_until(lambda: engine.state().phase in ("ready", "sleeping", "failed"), READY_WITHIN_S)
        if engine.state().phase == "failed":
            return str(engine.state().reason)
        pictures = {}
        for kind, params, given in cases(architecture):
            if profile.model.residency == "sleep":
                wait_until(lambda: engine.state().phase == "sleeping", READY_WITHIN_S)
            asked = replace(params, style="it") if style else params
            pictures[kind] = engine.submit(kind, asked, given).result(READY_WITHIN_S).pictures[0]
        return pictures
    finally:
        engine.close()


def figure(case: Case, ours: np.ndarray, theirs: np.ndarray) -> Figure:
    """Of an inpainting: where it was drawn, since what is kept is given back to the byte here."""
    _, _, given = case
    apart = np.abs(ours.astype(int) - theirs.astype(int))
    if given is not None and given.picture is not None and given.mask is not None:
        kept = given.mask == 0
        assert np.array_equal(ours[kept], given.picture[kept])
        apart = apart[~kept]
    return Figure(int(apart.max()), float((apart > 0).mean()))


def told(
    architecture: Architecture,
    drawn: dict[str, np.ndarray] | str,
    wanted: dict[str, np.ndarray],
) -> str:
    """The words of one cell."""
    if isinstance(drawn, str):
        return f"refused: {drawn.split('; ')[0]}"
    figures = {
        case[0]: figure(case, drawn[case[0]], wanted[case[0]]) for case in cases(architecture)
    }
    off = {kind: one for kind, one in figures.items() if not one.is_parity}
    if not off:
        return f"{SAME}: {', '.join(figures)}"
    return ", ".join(
        f"{kind} {one.levels}, {100 * one.share:.1f} %" for kind, one in figures.items()
    )


def compiles(dtype: str, residency: str) -> bool:
    """Whether a compiler is waited for: what it makes is the same wherever the weights lie."""
    return residency == "resident" or (residency, dtype) == ("fp8 storage", "bfloat16")


def wearing(profile: DiffusionProfile, folder: Path) -> tuple[DiffusionProfile, Worn]:
    pairs = random_pairs(profile, seed=1)
    path = written(pairs, folder / "it.safetensors", alpha=ALPHA)
    return styled(profile, {"it": (path, WEIGHT)}), [(pairs, WEIGHT * ALPHA / 4)]


@pytest.mark.timeout(7200 if WRITES else 600)
@pytest.mark.parametrize("dtype", DTYPES if WRITES else DTYPES[:1])
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda one: one.family)
def test_a_family_is_drawn_as_the_table_says(
    profiles: ProfileOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    architecture: Architecture,
    dtype: str,
) -> None:
    monkeypatch.setattr(admission, "IDLE_BEAT_S", 0.02)
    plain = profiles[architecture.family](dtype=dtype, embedding_cache_bytes=0)
    dressed, worn = wearing(plain, tmp_path)
    wanted = {
        False: theirs(plain, architecture, []),
        True: theirs(plain, architecture, worn),
    }
    text = PAGE.read_text(encoding="utf-8")
    for residency, reliefs in RESIDENCIES.items() if WRITES else [("resident", ())]:
        cells = []
        for variant in VARIANTS if WRITES else VARIANTS[:2]:
            style = "a style" in variant
            profile = dressed if style else plain
            entries: dict[str, object] = {"compile": "compiled" in variant}
            if residency.startswith("asleep"):
                entries |= {"residency": "sleep", "sleep_after_s": 0.0}
            model = profile.model.model_copy(update=entries)
            if style and model.compile:
                cells.append("refused: styles and compiled blocks")  # by the profile itself
                continue
            if model.compile and not compiles(dtype, residency):
                cells.append(NOT_DRAWN)
                continue
            profile = profile.model_copy(update={"model": model})
            drawn = ours(profile, architecture, reliefs, style)
            cells.append(told(architecture, drawn, wanted[style]))
        key = f"| {architecture.family} | {dtype} | {residency} |"
        if WRITES:
            text = PAGE.read_text(encoding="utf-8")
            PAGE.write_text(upserted(text, key, f"{key} {' | '.join(cells)} |"), encoding="utf-8")
            continue
        (line,) = (line for line in text.splitlines() if line.startswith(key))
        for ours_now, of_the_page in zip(cells, line.removeprefix(key).split(" | "), strict=False):
            assert_no_worse(ours_now, of_the_page)


def assert_no_worse(now: str, page: str) -> None:
    """Other processors round otherwise, by a level more where anything rounds at all."""
    if page.strip().startswith(SAME):
        assert now == page.strip()
    for one, other in zip(OFF.findall(now), OFF.findall(page), strict=True):
        assert int(one) <= int(other) + 1, (now, page)


def upserted(text: str, key: str, line: str) -> str:
    """The page with this line of the table in its place."""
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    lines = {row: own for own in table.splitlines() for row in rows() if own.startswith(row)}
    lines[key] = line
    body = "\n".join(lines[row] for row in rows() if row in lines)
    head = f"{HEAD}\n|{'---|' * (3 + len(VARIANTS))}"
    return f"{before}{BEGIN}\n\n{head}\n{body}\n\n{END}{after}"


def rows() -> list[str]:
    """How each line begins, in their order."""
    return [
        f"| {family} | {dtype} | {residency} |"
        for family in FAMILIES
        for dtype in DTYPES
        for residency in RESIDENCIES
    ]


def test_the_table_has_every_row_and_no_fault() -> None:
    """Only what fp8 and a compiler round is off, and styles in float16 by a level."""
    _, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    table = [line for line in rest.split(END)[0].splitlines() if line.startswith("| ")][1:]
    assert [line for line, row in zip(table, rows(), strict=True) if not line.startswith(row)] == []
    for line in table:
        _, dtype, residency, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for variant, cell in zip(VARIANTS, cells, strict=True):
            assert "internal" not in cell
            if cell.startswith(("refused: ", SAME)):
                continue
            if variant == "compiled" and cell == NOT_DRAWN:
                assert not compiles(dtype, residency)
                continue
            assert ROUNDED.match(cell), line
            half = dtype == "float16" and variant == "a style" and max(map(int, OFF.findall(cell)))
            assert residency == "fp8 storage" or variant == "compiled" or half == 1, line
