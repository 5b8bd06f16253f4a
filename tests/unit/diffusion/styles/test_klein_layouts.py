"""FLUX.2-klein's LoRA files: in the authors' names as diffusers converts them, and in its own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_flux2_lora_to_diffusers
from torch import Tensor

from deployments.diffusion.families.load import load_family
from deployments.diffusion.families.spellings import FLUX2
from tests.unit.diffusion.conftest import ProfileOf
from tests.unit.diffusion.styles.layouts import RANK
from tests.unit.diffusion.styles.test_layouts import effect, read, wanted

BLOCKS = ("double_blocks", "single_blocks")


@pytest.fixture(scope="module")
def family(profiles: ProfileOf) -> Any:
    return load_family(profiles["flux2-klein"]())


def written(family: Any, *names: str, prefix: str = "diffusion_model.") -> dict[str, Tensor]:
    """Random matrices for what the authors call so, in the first block of each kind."""
    made = torch.Generator().manual_seed(0)
    tensors = {}
    for name in names:
        parts = family.styled_layers().parts[f"transformer_{name.replace('.', '_')}"]
        layer = family.styled_layers().modules[parts[0].layer]
        rows = sum(one.stop - one.start for part in parts for one in part.rows)
        tensors[f"{prefix}{name}.lora_A.weight"] = torch.randn(
            RANK, layer.in_features, generator=made
        )
        tensors[f"{prefix}{name}.lora_B.weight"] = torch.randn(rows, RANK, generator=made)
    return tensors


def test_the_authors_blocks_are_read_as_diffusers_converts_them(
    family: Any, tmp_path: Path
) -> None:
    names = [name.replace("{i}", "0") for name in FLUX2 if name.startswith(BLOCKS)]
    tensors = written(family, *names)
    converted = _convert_non_diffusers_flux2_lora_to_diffusers(dict(tensors))
    pairs = {
        key.removesuffix(".lora_A.weight"): (down, converted[key.replace("lora_A", "lora_B")])
        for key, down in converted.items()
        if key.endswith("lora_A.weight")
    }
    ours, theirs = effect(read(family, tensors, tmp_path), family), wanted(pairs, family)
    assert ours.keys() == theirs.keys()
    assert len(ours) == 14
    for name, one in ours.items():
        torch.testing.assert_close(one, theirs[name], rtol=1e-4, atol=1e-3, msg=name)


@pytest.mark.parametrize("prefix", ["diffusion_model.", "transformer.", "base_model.model.", ""])
def test_all_other_layers_are_read_too(family: Any, tmp_path: Path, prefix: str) -> None:
    names = [name for name in FLUX2 if not name.startswith(BLOCKS)]
    tensors = written(family, *names, prefix=prefix)
    read_layers = effect(read(family, tensors, tmp_path), family)
    assert len(read_layers) == len(names)
    shifted = f"{prefix}final_layer.adaLN_modulation.1"
    down, up = tensors[f"{shifted}.lora_A.weight"], tensors[f"{shifted}.lora_B.weight"]
    first, second = up.chunk(2)  # theirs gives shift and scale, diffusers' scale and shift
    name = "transformer.norm_out.linear"
    turned = wanted({name: (down, torch.cat([second, first]))}, family)
    torch.testing.assert_close(read_layers[name], turned[name], rtol=1e-4, atol=1e-3)
