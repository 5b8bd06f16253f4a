"""Weights mapped from their files are those that the libraries' own loaders read."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, ZImageTransformer2DModel
from safetensors.torch import load_file, save_file
from transformers import Qwen3Model

from deployments.diffusion.weights.composition import COMPOSITIONS
from deployments.diffusion.weights.mapped import Shell, load_by_library, load_mapped
from deployments.diffusion.weights.weight_files import WeightFiles

CPU = torch.device("cpu")


def shell_of(name: str, folder: Path, dtype: torch.dtype = torch.float32) -> Shell:
    component = COMPOSITIONS["z-image"].components[name]
    files = WeightFiles.found(name, folder, component.library)
    return Shell.of(name, component, folder, files, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("transformer", ZImageTransformer2DModel),
        ("vae", AutoencoderKL),
        ("text_encoder", Qwen3Model),
    ],
)
def test_the_same_weights(checkpoint: Path, name: str, kind: Any, dtype: torch.dtype) -> None:
    shell = shell_of(name, checkpoint / name, dtype)
    assert shell.mapped
    ours = load_mapped(shell, CPU, dtype)
    theirs = kind.from_pretrained(
        checkpoint / name, **{"dtype" if name == "text_encoder" else "torch_dtype": dtype}
    )
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
    shell = shell_of("text_encoder", tmp_path)
    assert not shell.mapped
    theirs = load_by_library(shell, CPU, torch.float32)  # which knows the prefix
    assert all(torch.equal(p, weights[name]) for name, p in theirs.named_parameters())
