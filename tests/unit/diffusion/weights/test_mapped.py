"""Weights mapped from their files are those that the libraries' own loaders read."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, ZImageTransformer2DModel
from safetensors.torch import load_file, save_file
from transformers import Qwen3Model

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.components import ModelUnavailable, SharedComponents
from deployments.diffusion.weights.mapped import load_mapped

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "library", "kind"),
    [
        ("transformer", "diffusers", ZImageTransformer2DModel),
        ("vae", "diffusers", AutoencoderKL),
        ("text_encoder", "transformers", Qwen3Model),
    ],
)
def test_the_same_weights(
    checkpoint: Path, name: str, library: str, kind: Any, dtype: torch.dtype
) -> None:
    ours = load_mapped(kind, library, checkpoint / name, CPU, dtype)
    theirs = kind.from_pretrained(
        checkpoint / name, **{"dtype" if library == "transformers" else "torch_dtype": dtype}
    )
    assert ours is not None
    for tensors in ("named_parameters", "named_buffers"):
        mapped, read = dict(getattr(ours, tensors)()), dict(getattr(theirs, tensors)())
        assert mapped.keys() == read.keys()
        for key, tensor in mapped.items():
            assert tensor.dtype == read[key].dtype
            assert torch.equal(tensor, read[key])


def test_other_names_are_left_to_the_library(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((checkpoint / "text_encoder/config.json").read_text())
    weights = load_file(checkpoint / "text_encoder/model.safetensors")
    renamed = {f"model.{name}": tensor for name, tensor in weights.items()}
    save_file(renamed, tmp_path / "model.safetensors", {"format": "pt"})
    assert load_mapped(Qwen3Model, "transformers", tmp_path, CPU, torch.float32) is None
    theirs = Qwen3Model.from_pretrained(tmp_path)  # which knows the prefix
    assert all(torch.equal(p, weights[name]) for name, p in theirs.named_parameters())


def test_other_shapes_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((checkpoint / "text_encoder/config.json").read_text())
    weights = load_file(checkpoint / "text_encoder/model.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: weights[name][:-1]}, tmp_path / "model.safetensors")
    assert load_mapped(Qwen3Model, "transformers", tmp_path, CPU, torch.float32) is None


def test_a_damaged_file_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    for file in checkpoint.rglob("*"):
        if file.is_file():
            target = tmp_path / file.relative_to(checkpoint)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.read_bytes())
    weights = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelUnavailable, match="its vae cannot be loaded") as refused:
        SharedComponents.load(ModelSource(source=str(tmp_path), dtype="float32"))
    assert str(tmp_path.parent) not in str(refused.value)  # strangers may read it
