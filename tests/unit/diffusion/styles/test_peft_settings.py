"""How strongly peft's files act: by the settings beside them, or within them."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from deployments.diffusion.families.load import load_family
from deployments.diffusion.profile import Style
from deployments.diffusion.styles.reading import StyleUnfit, load_style
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.styles.lora_files import RANK, random_lora

Q, V = "layers.0.attention.to_q", "layers.1.attention.to_v"


@pytest.fixture(scope="module")
def family(checkpoint: Path) -> Any:
    return load_family(tiny_profile(checkpoint))


def scales(
    family: Any,
    folder: Path,
    checkpoint: Path,
    config: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    prefix: str = "base_model.model.",
) -> dict[str, float]:
    """By what the file's matrices are multiplied, by layer."""
    lora = random_lora(checkpoint, 1)
    tensors = {}
    for name, (down, up) in lora.items():
        tensors |= {f"{prefix}{name}.lora_A.weight": down, f"{prefix}{name}.lora_B.weight": up}
    told = {"lora_adapter_metadata": json.dumps(metadata)} if metadata else None
    save_file(tensors, folder / "adapter_model.safetensors", told)
    if config is not None:
        (folder / "adapter_config.json").write_text(json.dumps(config))
    style = Style(
        source=str(folder), file="adapter_model.safetensors", licence="own", description="a test"
    )
    layers = family.styled_layers()
    adapter = load_style(style, layers, torch.float32)
    names = {module: name for name, module in layers.modules.items()}
    found = {}
    for layer, update in zip(adapter.layers, adapter.updates, strict=True):
        name = names[layer].removeprefix("transformer.")
        down, up = lora[name]
        ratio = update.matrix() / (up @ down)
        assert torch.allclose(ratio, ratio[0, 0].expand_as(ratio), rtol=1e-3)
        found[name] = round(float(ratio[0, 0]), 4)
    return found


def test_a_folder_of_peft_is_drawn_at_its_own_scale(
    family: Any, checkpoint: Path, tmp_path: Path
) -> None:
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 12}
    assert set(scales(family, tmp_path, checkpoint, config).values()) == {3.0}
    root = round(12 / math.sqrt(RANK), 4)
    rslora = {**config, "use_rslora": True}
    assert set(scales(family, tmp_path, checkpoint, rslora).values()) == {root}


def test_patterns_end_a_layers_name(family: Any, checkpoint: Path, tmp_path: Path) -> None:
    patterns = {"to_q": 2, r"layers\.1\.attention\.to_v": 20}
    config = {"r": RANK, "lora_alpha": 4, "alpha_pattern": patterns}
    found = scales(family, tmp_path, checkpoint, config)
    assert found[Q] == 0.5
    assert found[V] == 5.0
    assert found["layers.0.attention.to_v"] == 1.0


def test_another_rank_than_is_said_is_refused(
    family: Any, checkpoint: Path, tmp_path: Path
) -> None:
    config = {"r": 8, "lora_alpha": 8, "rank_pattern": {r"attention\..*": RANK}}
    with pytest.raises(StyleUnfit, match=r"refiner.0.feed_forward.w1' has rank 4.*say 8"):
        scales(family, tmp_path, checkpoint, config)
    said = {**config, "rank_pattern": {r"attention\..*": RANK, "feed_forward.*": RANK}}
    assert set(scales(family, tmp_path, checkpoint, said).values()) == {2.0}


def test_metadata_tell_of_one_component(family: Any, checkpoint: Path, tmp_path: Path) -> None:
    metadata = {"transformer.r": RANK, "transformer.lora_alpha": 8, "text_encoder.lora_alpha": 99}
    found = scales(family, tmp_path, checkpoint, metadata=metadata, prefix="transformer.")
    assert set(found.values()) == {2.0}
    both = scales(
        family, tmp_path, checkpoint, {"lora_alpha": 400}, metadata, prefix="transformer."
    )
    assert both == found  # what is in the file is of the file


def test_a_folder_of_pefts_lokr_is_drawn_at_its_own_scale(family: Any, tmp_path: Path) -> None:
    """Peft scales two whole factors too, which LyCORIS does not."""
    stem = f"base_model.model.{Q}.lokr"
    factors = {f"{stem}_w1": torch.ones(4, 4), f"{stem}_w2": torch.ones(16, 16)}
    save_file(factors, tmp_path / "adapter_model.safetensors")
    style = Style(
        source=str(tmp_path), file="adapter_model.safetensors", licence="own", description="a test"
    )
    for config, expected in (
        ({"peft_type": "LOKR", "r": 8, "alpha": 2}, 0.25),
        ({"peft_type": "LOKR", "r": 8, "alpha": 2, "alpha_pattern": {"to_q": 16}}, 2.0),
    ):
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
        (update,) = load_style(style, family.styled_layers(), torch.float32).updates
        assert torch.equal(update.matrix(), torch.full((64, 64), expected))


@pytest.mark.parametrize("way", ["pissa", "pissa_niter_16", "olora"])
def test_adapters_of_a_changed_model_are_refused(
    family: Any, checkpoint: Path, tmp_path: Path, way: str
) -> None:
    with pytest.raises(StyleUnfit, match="has changed the model's own weights; save the adapter"):
        scales(family, tmp_path, checkpoint, {"r": RANK, "init_lora_weights": way})


def test_settings_that_are_none_are_refused(family: Any, checkpoint: Path, tmp_path: Path) -> None:
    for text in ("[1", "[1]", '{"r": "many"}', '{"alpha_pattern": {"(": 2}}', "3"):
        (tmp_path / "adapter_config.json").write_text(text)
        with pytest.raises(StyleUnfit):
            scales(family, tmp_path, checkpoint)
