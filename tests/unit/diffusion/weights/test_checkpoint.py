"""Pulling: float32 becomes the profile's dtype once, hashes are known, a stop loses nothing."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from diffusers import ZImageTransformer2DModel
from safetensors.torch import load_file

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights import checkpoint as pulling
from deployments.diffusion.weights.checkpoint import PullFailed
from deployments.diffusion.weights.components import SharedComponents

HUB = ModelSource(source="someone/model", revision="0" * 40, dtype="bfloat16", device="cpu")


@pytest.fixture
def hub(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the hub's place, its transformer in three shards; nothing else is replaced."""
    hub = tmp_path / "hub"
    for file in checkpoint.rglob("*"):
        if file.is_file() and file.parent.name != "transformer":
            target = hub / file.relative_to(checkpoint)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    transformer = ZImageTransformer2DModel.from_pretrained(checkpoint, subfolder="transformer")
    transformer.save_pretrained(hub / "transformer", max_shard_size="1MB")

    def download(source: ModelSource, staging: Path) -> Mapping[str, str]:
        assert source == HUB
        files = [file for file in hub.rglob("*") if file.is_file()]
        for file in files:
            target = staging / file.relative_to(hub)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
        weights = [file for file in files if file.suffix == ".safetensors"]
        return {str(file.relative_to(hub)): pulling.sha256(file) for file in weights}

    monkeypatch.setattr(pulling, "download", download)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return hub


def test_a_pulled_model_is_loaded_in_its_place(hub: Path, checkpoint: Path) -> None:
    folder = pulling.default_folder(HUB)
    assert pulling.pulled(HUB) is None
    pulling.pull(HUB, folder, lambda _: None)
    assert pulling.pulled(HUB) == folder
    assert not (folder / pulling.STAGING).exists()
    ours = SharedComponents.load(HUB)
    theirs = SharedComponents.load(HUB.model_copy(update={"source": str(checkpoint)}))
    for one, other in zip(ours.tensors(), theirs.tensors(), strict=True):
        assert torch.equal(one, other)


def test_shards_and_their_index_agree(hub: Path, tmp_path: Path) -> None:
    folder = tmp_path / "into"
    pulling.pull(HUB, folder, lambda _: None)
    (index,) = folder.glob("transformer/*.index.json")
    content = json.loads(index.read_text())
    shards = [load_file(index.parent / name) for name in set(content["weight_map"].values())]
    assert len(shards) > 1
    tensors = [tensor for shard in shards for tensor in shard.values()]
    assert {tensor.dtype for tensor in tensors} == {torch.bfloat16}
    assert content["metadata"]["total_size"] == sum(tensor.nbytes for tensor in tensors)
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in folder.rglob("*.safetensors"))


def test_it_goes_on_where_it_stopped(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "into"
    cast = pulling._cast_file
    done: list[str] = []

    def stops_at_the_second(file: Path, target: Path, dtype: torch.dtype) -> None:
        if len(done) == 2:
            target.write_bytes(b"half")
            raise KeyboardInterrupt
        done.append(file.name)
        cast(file, target, dtype)

    monkeypatch.setattr(pulling, "_cast_file", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        pulling.pull(HUB, folder, lambda _: None)
    assert not (folder / pulling.MANIFEST).exists()
    monkeypatch.setattr(pulling, "_cast_file", cast)
    told: list[str] = []
    pulling.pull(HUB, folder, told.append)
    assert sum(line.endswith(".safetensors") for line in told) == len(
        list(folder.rglob("*.safetensors"))
    ) - len(done)
    pulling.verify(folder)
    assert not list(folder.rglob("*.part"))


def test_damage_is_found(hub: Path, tmp_path: Path) -> None:
    folder = tmp_path / "into"
    pulling.pull(HUB, folder, lambda _: None)
    pulling.pull(HUB, folder, lambda _: None)  # a second time only checks
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(PullFailed, match=r"vae/.*damaged"):
        pulling.pull(HUB, folder, lambda _: None)
    file.unlink()
    with pytest.raises(PullFailed, match=r"vae/.*missing"):
        pulling.verify(folder)


def test_no_network_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PullFailed, match="run this again"):
        pulling.pull(HUB, tmp_path / "into", lambda _: None)
    assert not (tmp_path / "into" / pulling.MANIFEST).exists()


def test_a_folder_is_not_pulled(tmp_path: Path) -> None:
    local = ModelSource(source="embedded", dtype="float32")
    with pytest.raises(PullFailed, match="nothing to pull"):
        pulling.pull(local, tmp_path, lambda _: None)
