"""One of several variants of a folder's weights is read; which ones there are is told."""

import shutil
from pathlib import Path

import pytest
import torch
from diffusers import FluxTransformer2DModel

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.components import ModelUnavailable, SharedComponents
from deployments.diffusion.weights.variants import Named, named
from tests.into_variant import into_variant
from tests.unit.diffusion.conftest import ProfileOf

FAMILIES = ["z-image", "sdxl", "flux"]


def copied(profiles: ProfileOf, tmp_path: Path, family: str) -> ModelSource:
    source = profiles[family](dtype="bfloat16").model
    folder = tmp_path / family
    shutil.copytree(source.source, folder)
    return source.model_copy(update={"source": str(folder)})


def of(source: ModelSource, variant: str | None) -> SharedComponents:
    return SharedComponents.load(source.model_copy(update={"variant": variant}))


def assert_equal(ours: SharedComponents, theirs: SharedComponents) -> None:
    for one, other in zip(ours.tensors(), theirs.tensors(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_of_one_variant(profiles: ProfileOf, tmp_path: Path, family: str) -> None:
    source = copied(profiles, tmp_path, family)
    into_variant(Path(source.source), "fp16")
    with pytest.raises(ModelUnavailable, match=r"^model\.variant: .*no plain.*'fp16'"):
        of(source, None)
    with pytest.raises(ModelUnavailable, match=r"^model\.variant: .*'bf16', but 'fp16'$"):
        of(source, "bf16")
    assert {tensor.dtype for tensor in of(source, "fp16").tensors()} >= {torch.bfloat16}
    assert_equal(of(source, "fp16"), of(plain_again(source), None))


def plain_again(source: ModelSource) -> ModelSource:
    for file in [*Path(source.source).rglob("*.fp16*")]:
        file.rename(file.with_name(file.name.replace(".fp16", "")))
    return source


@pytest.mark.parametrize("last", [False, True])
def test_shards_of_a_variant(profiles: ProfileOf, tmp_path: Path, last: bool) -> None:
    """Named as diffusers does now, and as it did: the variant last."""
    source = copied(profiles, tmp_path, "flux")
    folder = Path(source.source) / "transformer"
    model = FluxTransformer2DModel.from_pretrained(folder, torch_dtype=torch.float16)
    shutil.rmtree(folder)
    model.save_pretrained(folder, max_shard_size="100KB", variant="fp16")
    if last:
        (index,) = folder.glob("*.index.fp16.json")
        content = index.read_text()
        for shard in [*folder.glob("*.safetensors")]:
            name = shard.name.replace(".fp16", "").replace(".safetensors", ".fp16.safetensors")
            content = content.replace(shard.name, name)
            shard.rename(shard.with_name(name))
        index.write_text(content)
    assert len([*folder.glob("*.safetensors")]) > 1
    components = of(source, "fp16")  # its other parts have plain files alone
    for key, weight in model.bfloat16().state_dict().items():
        assert torch.equal(components.modules["transformer"].state_dict()[key], weight)
    with pytest.raises(ModelUnavailable, match="the transformer has no plain weights"):
        of(source, None)


def test_where_there_are_both_the_one_that_is_asked_for_is_read(
    profiles: ProfileOf, tmp_path: Path
) -> None:
    source = copied(profiles, tmp_path, "z-image")
    theirs = of(source, None)
    into_variant(Path(source.source), "fp16", keep_plain=True)
    assert_equal(of(source, None), theirs)
    halved = of(source, "fp16")
    pairs = zip(halved.tensors(), theirs.tensors(), strict=True)
    assert not all(torch.equal(one, other) for one, other in pairs)


def test_a_variant_of_a_folder_without_any_is_refused(profiles: ProfileOf, tmp_path: Path) -> None:
    source = copied(profiles, tmp_path, "sdxl")
    with pytest.raises(ModelUnavailable, match=r"^model\.variant: .*plain ones: leave it out"):
        of(source, "fp16")


@pytest.mark.parametrize(
    ("file", "plain", "variant"),
    [
        ("model.safetensors", "model.safetensors", None),
        ("model.fp16.safetensors", "model.safetensors", "fp16"),
        ("model.fp16-00001-of-00002.safetensors", "model-00001-of-00002.safetensors", "fp16"),
        ("model-00001-of-00002.fp16.safetensors", "model-00001-of-00002.safetensors", "fp16"),
        ("model-00001-of-00002.safetensors", "model-00001-of-00002.safetensors", None),
        ("model.safetensors.index.fp16.json", "model.safetensors.index.json", "fp16"),
        ("model.safetensors.index.json", "model.safetensors.index.json", None),
        ("pytorch_model.non_ema.bin", "pytorch_model.bin", "non_ema"),
        ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.bin", None),
    ],
)
def test_names_of_files(file: str, plain: str, variant: str | None) -> None:
    assert named(file) == Named(plain, variant, "bin" if ".bin" in file else "safetensors")


@pytest.mark.parametrize("file", ["config.json", "lora.safetensors", "model.onnx", "vocab.json"])
def test_names_of_other_files(file: str) -> None:
    assert named(file) is None
