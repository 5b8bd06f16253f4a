"""What makes pictures into what a text encoder sees is the checkpoint's own, and its encoder's."""

import json
import shutil
from pathlib import Path

import pytest

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.components import SharedComponents
from deployments.diffusion.weights.unavailable import ModelUnavailable
from tests.unit.diffusion.conftest import ProfileOf

FAMILY = "qwen-image-edit"


def copied(profiles: ProfileOf, folder: Path) -> ModelSource:
    source = profiles[FAMILY]().model
    shutil.copytree(source.location, folder, dirs_exist_ok=True)
    return source.model_copy(update={"source": str(folder)})


def test_it_is_the_checkpoints_own(profiles: ProfileOf, tmp_path: Path) -> None:
    source = copied(profiles, tmp_path)
    (tmp_path / "processor" / "preprocessor_config.json").write_text(
        json.dumps({"min_pixels": 3136, "max_pixels": 7840, "patch_size": 14})
    )
    processor = SharedComponents.load(source).processors["processor"]
    assert processor.to_dict()["size"] == {"shortest_edge": 3136, "longest_edge": 7840}


def test_a_folder_without_one(profiles: ProfileOf, tmp_path: Path) -> None:
    source = copied(profiles, tmp_path)
    shutil.rmtree(tmp_path / "processor")
    with pytest.raises(ModelUnavailable, match="its processor has no settings"):
        SharedComponents.load(source)


def test_one_that_cuts_pictures_otherwise(profiles: ProfileOf, tmp_path: Path) -> None:
    source = copied(profiles, tmp_path)
    (tmp_path / "processor" / "preprocessor_config.json").write_text(json.dumps({"patch_size": 16}))
    with pytest.raises(ModelUnavailable, match="patch_size 16, and its text_encoder sees 14"):
        SharedComponents.load(source)


def test_another_familys(profiles: ProfileOf, tmp_path: Path) -> None:
    source = copied(profiles, tmp_path)
    index = tmp_path / "model_index.json"
    parts = json.loads(index.read_text()) | {"processor": ["transformers", "CLIPProcessor"]}
    index.write_text(json.dumps(parts))
    with pytest.raises(ModelUnavailable, match=r"transformers\.CLIPProcessor as its processor"):
        SharedComponents.load(source)
