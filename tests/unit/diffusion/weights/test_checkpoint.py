"""Pulling: float32 becomes the profile's dtype once, hashes are known, a stop loses nothing."""

import json
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers import ZImageTransformer2DModel
from safetensors.torch import load_file

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights import checkpoint as pulling
from deployments.diffusion.weights.checkpoint import PullFailed
from deployments.diffusion.weights.components import SharedComponents
from deployments.diffusion.weights.on_disk import default_folder, is_here, pulled
from tests.into_variant import into_variant
from tests.polling import wait_until
from tests.small_hub import CHUNK, SmallHub, served

HUB = ModelSource(source="someone/model", revision="0" * 40, dtype="bfloat16", device="cpu")


@pytest.fixture
def hub(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallHub]:
    """A hub with the model, its transformer in three shards."""
    folder = tmp_path / "hub"
    shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns("transformer"))
    transformer = ZImageTransformer2DModel.from_pretrained(checkpoint, subfolder="transformer")
    transformer.save_pretrained(folder / "transformer", max_shard_size="1MB")
    (folder / "tokenizer" / "spiece.model").write_bytes(b"pieces")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "huggingface"))
    with served(SmallHub(folder, HUB.source, "0" * 40), monkeypatch) as hub:
        yield hub


def test_a_pulled_model_is_loaded_in_its_place(hub: SmallHub, checkpoint: Path) -> None:
    folder = default_folder(HUB)
    assert pulled(HUB) is None
    pulling.pull(HUB, folder, lambda _: None)
    assert pulled(HUB) == folder
    assert not (folder / pulling.STAGING).exists()
    ours = SharedComponents.load(HUB)
    theirs = SharedComponents.load(HUB.model_copy(update={"source": str(checkpoint)}))
    for one, other in zip(ours.tensors(), theirs.tensors(), strict=True):
        assert torch.equal(one, other)


def test_shards_and_their_index_agree(hub: SmallHub, tmp_path: Path) -> None:
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
    hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_damage_is_found(hub: SmallHub, tmp_path: Path) -> None:
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


def test_only_what_is_needed_is_fetched(hub: SmallHub, tmp_path: Path) -> None:
    for name in (
        "README.md",
        "unused/model.safetensors",
        "vae/diffusion_pytorch_model.bin",
        "text_encoder/model.fp16.safetensors",
        "text_encoder/model.safetensors.index.fp16.json",
        "text_encoder/pytorch_model.bin.index.json",
    ):
        (hub.folder / name).parent.mkdir(exist_ok=True)
        (hub.folder / name).write_bytes(b"not needed")
    folder = tmp_path / "into"
    pulling.pull(HUB, folder, lambda _: None)
    names = [name for name, _ in hub.asked]
    assert len(set(names)) == len(names)
    assert "tokenizer/spiece.model" in names
    assert not [name for name in names if b"not needed" in (hub.folder / name).read_bytes()]
    kept = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert kept == {*names, pulling.MANIFEST}


def test_a_stop_within_a_file_goes_on_behind_what_has_come(hub: SmallHub, tmp_path: Path) -> None:
    folder = tmp_path / "into"
    hub.stalls = next(name for name in hub.names() if "transformer/" in name and "-00002" in name)
    hub.stalls_at = 3 * CHUNK
    stalled = hub.stalls
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        (part,) = folder.rglob(f"*/{stalled}.part")
        wait_until(lambda: part.stat().st_size >= 2 * CHUNK, 20)
        signal.pthread_kill(main, signal.SIGINT)  # Ctrl-C

    hub.on_stall = interrupt
    with pytest.raises(KeyboardInterrupt):
        pulling.pull(HUB, folder, lambda _: None)
    before = [*hub.asked]
    pulling.pull(HUB, folder, lambda _: None)
    again = hub.asked[len(before) :]
    ((resumed, at),) = [(name, at) for name, at in again if (name, 0) in before]
    assert resumed == stalled
    assert at >= 2 * CHUNK
    assert pulled(HUB) is None  # it lies elsewhere
    pulling.verify(folder)


@pytest.mark.parametrize("stop", ["write_manifest", "shutil.rmtree"])
def test_a_stop_at_the_end_fetches_nothing_again(
    hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    def stops(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "into"
    with monkeypatch.context() as stopped:
        stopped.setattr(f"deployments.diffusion.weights.checkpoint.{stop}", stops)
        with pytest.raises(KeyboardInterrupt):
            pulling.pull(HUB, folder, lambda _: None)
    before = len(hub.asked)
    pulling.pull(HUB, folder, lambda _: None)
    assert len(hub.asked) == before
    assert not (folder / pulling.STAGING).exists()
    pulling.verify(folder)


def test_what_comes_damaged_is_fetched_anew_the_next_time(hub: SmallHub, tmp_path: Path) -> None:
    folder = tmp_path / "into"
    hub.spoiled = "vae/diffusion_pytorch_model.safetensors"
    with pytest.raises(PullFailed, match=r"vae/.*damaged.*again"):
        pulling.pull(HUB, folder, lambda _: None)
    hub.spoiled = None
    pulling.pull(HUB, folder, lambda _: None)
    pulling.verify(folder)


def test_what_the_hub_s_own_cache_has_is_not_fetched(
    hub: SmallHub, checkpoint: Path, tmp_path: Path
) -> None:
    snapshot = tmp_path / "huggingface" / "models--someone--model" / "snapshots" / ("0" * 40)
    assert not is_here(HUB)
    shutil.copytree(hub.folder, snapshot)
    assert is_here(HUB)
    pulling.pull(HUB, tmp_path / "into", lambda _: None)
    assert not hub.asked
    for weights in snapshot.glob("transformer/*.safetensors"):  # as after its configs alone
        weights.unlink()
    assert not is_here(HUB)


def test_one_variant_is_fetched_and_has_plain_names(hub: SmallHub, tmp_path: Path) -> None:
    into_variant(hub.folder, "fp16", keep_plain=True)
    asked = HUB.model_copy(update={"variant": "fp16"})
    folder = default_folder(asked)
    assert folder != default_folder(HUB)
    pulling.pull(asked, folder, lambda _: None)
    weights = [name for name, _ in hub.asked if "safetensors" in name]
    assert weights
    assert all(".fp16" in name for name in weights)
    assert not [*folder.rglob("*fp16*")]
    assert {
        t.dtype for file in folder.rglob("*.safetensors") for t in load_file(file).values()
    } == {torch.bfloat16}
    ours = SharedComponents.load(asked)
    theirs = SharedComponents.load(asked.model_copy(update={"source": str(hub.folder)}))
    for one, other in zip(ours.tensors(), theirs.tensors(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("asked", "says"),
    [(None, "the text_encoder has no plain weights, but 'fp16'"), ("bf16", "no weights of 'bf16'")],
)
def test_a_variant_that_the_hub_has_not_is_refused_before_its_weights_are_fetched(
    hub: SmallHub, tmp_path: Path, asked: str | None, says: str
) -> None:
    into_variant(hub.folder, "fp16")
    with pytest.raises(PullFailed, match=f"^model.variant: .*{says}"):
        pulling.pull(HUB.model_copy(update={"variant": asked}), tmp_path, lambda _: None)
    assert hub.asked == [("model_index.json", 0)]


def test_weights_that_are_no_safetensors_are_refused_before_they_are_fetched(
    hub: SmallHub, tmp_path: Path
) -> None:
    weights = hub.folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(PullFailed, match=r"^vae: .*safetensors"):
        pulling.pull(HUB, tmp_path, lambda _: None)


def test_a_hub_that_does_not_answer_is_said(
    hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PullFailed, match="run this again"):
        pulling.pull(HUB, tmp_path / "into", lambda _: None)


def test_a_revision_that_there_is_not_is_said(hub: SmallHub, tmp_path: Path) -> None:
    other = HUB.model_copy(update={"revision": "1" * 40})
    with pytest.raises(PullFailed, match="the revision"):
        pulling.pull(other, tmp_path / "into", lambda _: None)


def test_no_network_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PullFailed, match="run this again"):
        pulling.pull(HUB, tmp_path / "into", lambda _: None)
    assert not (tmp_path / "into" / pulling.MANIFEST).exists()


def test_a_folder_is_not_pulled(tmp_path: Path) -> None:
    local = ModelSource(source="embedded", dtype="float32")
    with pytest.raises(PullFailed, match="nothing to pull"):
        pulling.pull(local, tmp_path, lambda _: None)
