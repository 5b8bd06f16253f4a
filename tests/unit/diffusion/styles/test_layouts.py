"""Every layout of LoRA files: read as diffusers reads it, or refused by its name.

The table of docs/models.md is made of these rows; `SIGNBOARD_WRITE_DOCS=1` writes it anew.
"""

import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from deployments.diffusion.profile import Style
from deployments.diffusion.styles.reading import StyleUnfit, load_style
from tests.unit.diffusion.styles.layouts import Layout, Pairs, Tensors
from tests.unit.diffusion.styles.rows import LAYOUTS
from tests.unit.diffusion.styles.wide import wide_family

PAGE = Path(__file__).parents[4] / "docs" / "models.md"
BEGIN, END = "<!-- LoRA layouts -->", "<!-- end of LoRA layouts -->"


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("wide")
    return {name: wide_family(name, root / name) for name in ("z-image", "sdxl", "flux")}


def read(family: Any, tensors: Tensors, folder: Path, **how: Any) -> Any:
    """The file's adapter in float32, on its way through a real file."""
    whole = {key: tensor.contiguous().clone() for key, tensor in tensors.items()}
    save_file(whole, folder / "one.safetensors", how.get("metadata"))
    style = Style(source=str(folder), file="one.safetensors", licence="own", description="a test")
    return load_style(style, family.styled_layers(), how.get("dtype", torch.float32))


def effect(adapter: Any, family: Any) -> dict[str, Tensor]:
    """What each layer's outputs become for inputs of ones, one column a random one, by name."""
    names = {module: name for name, module in family.styled_layers().modules.items()}
    made = {}
    for layer, update in zip(adapter.layers, adapter.updates, strict=True):
        x = probe(layer)
        made[names[layer]] = update.scale * update.forward(x, layer, partial(layer, x))
    return made


def probe(layer: Any) -> Tensor:
    """Inputs of a layer, random but the same each time."""
    made = torch.Generator().manual_seed(1)
    if isinstance(layer, torch.nn.Conv2d):
        return torch.randn(1, layer.in_channels, 6, 6, generator=made)
    return torch.randn(2, layer.in_features, generator=made)


def wanted(pairs: Pairs, family: Any) -> dict[str, Tensor]:
    """The same of (down, up), as peft computes it."""
    modules = family.styled_layers().modules
    made = {}
    for name, (down, up) in pairs.items():
        layer = modules[name]
        x = probe(layer)
        if isinstance(layer, torch.nn.Conv2d):
            low = torch.nn.functional.conv2d(x, down, None, layer.stride, layer.padding)
            made[name] = torch.nn.functional.conv2d(low, up)
        else:
            made[name] = x @ down.T @ up.T
    return made


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda one: f"{one.family} {one.key}")
def test_each_layout_is_read_as_diffusers_reads_it_or_refused_by_name(
    layout: Layout, families: dict[str, Any], tmp_path: Path
) -> None:
    family = families[layout.family]
    tensors = layout.write(family)
    if layout.refused is not None:
        with pytest.raises(StyleUnfit, match=layout.refused):
            read(family, tensors, tmp_path)
        return
    assert layout.expected is not None
    ours = effect(read(family, tensors, tmp_path), family)
    theirs = wanted(layout.expected(family, tensors), family)
    assert ours.keys() == theirs.keys()
    assert ours
    for name, one in ours.items():
        torch.testing.assert_close(one, theirs[name], rtol=1e-4, atol=1e-3, msg=name)


def table() -> str:
    """The rows of the documentation."""
    lines = ["| model | trainer | a key of it | |", "|---|---|---|---|"]
    titles = {"z-image": "Z-Image", "sdxl": "SDXL", "flux": "FLUX.1"}
    for one in LAYOUTS:
        verdict = "refused: " + _plainly(one.refused) if one.refused else "read"
        said = "; ".join(part for part in (verdict, one.remark) if part)
        lines.append(f"| {titles[one.family]} | {one.trainer} | `{one.key}` | {said} |")
    return "\n".join(lines)


def _plainly(pattern: str) -> str:
    return re.sub(r"\.\*", ": ", pattern)


def test_the_table_of_the_documentation_is_that_of_these_rows() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    whole = f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"
    if os.environ.get("SIGNBOARD_WRITE_DOCS"):
        PAGE.write_text(whole, encoding="utf-8")
    assert text == whole
    assert len(LAYOUTS) >= 30
