"""What a model is made of, read without its weights: from a folder, a pulled model, or the hub."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from deployments.diffusion.families.load import FAMILIES
from deployments.diffusion.memory.profile_plan import computed
from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights import checkpoint as pulling
from deployments.diffusion.weights import default_folder
from deployments.diffusion.weights.architecture import Architecture
from deployments.diffusion.weights.components import ModelUnavailable, SharedComponents
from tests.unit.diffusion.conftest import ProfileOf

META = torch.device("meta")


def built(source: ModelSource) -> SharedComponents:
    return Architecture.read(source).build(META)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_it_is_as_large_as_what_is_loaded(profiles: ProfileOf, family: str, dtype: str) -> None:
    source = profiles[family](dtype).model
    loaded, shapes = SharedComponents.load(source), built(source)

    assert shapes.modules.keys() == loaded.modules.keys()
    assert shapes.tokenizers.keys() == loaded.tokenizers.keys()
    assert shapes.scheduler_config["_class_name"] == loaded.scheduler_config["_class_name"]
    for name, module in loaded.modules.items():
        ours = {key: (p.shape, p.dtype) for key, p in shapes.modules[name].named_parameters()}
        assert ours == {key: (p.shape, p.dtype) for key, p in module.named_parameters()}


def test_parts_that_are_not_there_are_none(profiles: ProfileOf, tmp_path: Path) -> None:
    """As the model_index.json of SDXL and FLUX.1 have them, and with what weighs nothing."""
    for family in ("sdxl", "flux"):
        profile = profiles[family]()
        folder = tmp_path / family
        shutil.copytree(profile.model.location, folder)
        index = json.loads((folder / "model_index.json").read_text())
        without = {name: entry for name, entry in index.items() if entry != [None, None]}
        pictures = {"feature_extractor": ["transformers", "CLIPImageProcessor"]}
        parts = {name: [None, None] for name in ("image_encoder", "safety_checker")}
        figures = []
        for entries in (without, {**without, **parts}, {**without, **pictures}):
            (folder / "model_index.json").write_text(json.dumps(entries))
            model = profile.model.model_copy(update={"source": str(folder)})
            figures.append(computed(profile.model_copy(update={"model": model})))
        assert figures[0] == figures[1] == figures[2]


@pytest.mark.parametrize("family", FAMILIES)
def test_configs_alone_are_enough(profiles: ProfileOf, family: str, tmp_path: Path) -> None:
    """Without weights, tokenizers and the names of classes that the index says already."""
    profile = profiles[family]()
    folder = tmp_path / family
    shutil.copytree(
        profile.model.location, folder, ignore=shutil.ignore_patterns("*.safetensors", "tokenizer*")
    )
    for file in [folder / "model_index.json", *folder.glob("*/config.json")]:
        content = json.loads(file.read_text())
        file.write_text(json.dumps({k: v for k, v in content.items() if k[0] != "_"}))
    told = {"source": str(folder)}
    alone = profile.model_copy(update={"model": profile.model.model_copy(update=told)})

    assert computed(alone) == computed(profile)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pulled_model_says_it_itself(
    profiles: ProfileOf, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    profile = profiles[family]()
    told = {"source": "someone/model", "revision": "0" * 40}
    hub = profile.model_copy(update={"model": profile.model.model_copy(update=told)})
    folder = default_folder(hub.model)
    shutil.copytree(profile.model.location, folder)
    pulling.write_manifest(folder, hub.model.dtype)

    assert computed(hub) == computed(profile)


def test_a_hub_that_does_not_answer_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = ModelSource(source="someone/model", revision="0" * 40, dtype="bfloat16")

    with pytest.raises(ModelUnavailable, match="signboard models pull"):
        Architecture.read(source)
