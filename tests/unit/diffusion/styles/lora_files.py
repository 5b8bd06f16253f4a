"""Random LoRA files for the tiny checkpoint, in the spellings of the usual trainers."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from diffusers import ZImageTransformer2DModel
from safetensors.torch import save_file
from torch import Tensor

RANK = 4
Spelling = Callable[[str], tuple[str, str, str]]
"""From a layer's name to the keys of its two matrices and its alpha."""


def peft(layer: str) -> tuple[str, str, str]:
    stem = f"transformer.{layer}"
    return f"{stem}.lora_A.weight", f"{stem}.lora_B.weight", f"{stem}.alpha"


def comfy(layer: str) -> tuple[str, str, str]:
    stem = f"diffusion_model.{layer}"
    return f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", f"{stem}.alpha"


def kohya(layer: str) -> tuple[str, str, str]:
    stem = f"lora_unet_{layer.replace('.', '_')}"
    return f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", f"{stem}.alpha"


def random_lora(checkpoint: Path, seed: int, size: float = 0.6) -> dict[str, tuple[Tensor, Tensor]]:
    """(down, up) for attention and feed-forward layers of every block, by the layers' names."""
    transformer = ZImageTransformer2DModel.from_pretrained(checkpoint, subfolder="transformer")
    layers = {
        name: module
        for name, module in transformer.named_modules()
        if isinstance(module, torch.nn.Linear) and (".attention." in name or ".feed" in name)
    }
    return random_updates(layers, seed, size)


def random_updates(
    layers: Mapping[str, torch.nn.Linear], seed: int, size: float = 0.6
) -> dict[str, tuple[Tensor, Tensor]]:
    """(down, up) for each of the layers, by their names."""
    generator = torch.Generator().manual_seed(seed)
    lora = {}
    for name, module in layers.items():
        down = torch.randn(RANK, module.in_features, generator=generator)
        up = torch.randn(module.out_features, RANK, generator=generator)
        lora[name] = (down * size / module.in_features**0.5, up * size)
    return lora


def write_lora(
    path: Path,
    lora: Mapping[str, tuple[Tensor, Tensor]],
    spelling: Spelling = peft,
    alpha: float | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    tensors = {}
    for layer, (down, up) in lora.items():
        down_key, up_key, alpha_key = spelling(layer)
        tensors |= {down_key: down, up_key: up}
        if alpha is not None:
            tensors[alpha_key] = torch.tensor(alpha)
    save_file(tensors, path, metadata)
    return path
