"""Changing a checkpoint's folder: files are hard links to a whole one's, what is changed is new."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

from deployments.diffusion.weights.composition import COMPOSITIONS

Change = Callable[[Path], None]
INDEX = "model_index.json"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
STEM = {"diffusers": "diffusion_pytorch_model", "transformers": "model"}


class Malformed(NamedTuple):
    """One folder. says: what strangers must read of it. file: what the log must name, of it.

    final: whether no waiting mends it.
    """

    family: str
    name: str
    says: str
    file: str
    final: bool
    change: Change


def link(source: Path, target: Path) -> Path:
    """A second checkpoint of the same files."""
    for file in source.rglob("*"):
        if file.is_file():
            at = target / file.relative_to(source)
            at.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, at)
    return target


def write(file: Path, content: bytes) -> None:
    """In place of the link."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON object."""
    content = json.loads(file.read_text())
    change(content)
    write(file, json.dumps(content).encode())


def reweigh(file: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change a safetensors file."""
    tensors = {key: tensor.clone() for key, tensor in load_file(file).items()}
    change(tensors)
    file.unlink()
    save_file(tensors, file, {"format": "pt"})


def weights(family: str) -> dict[str, str]:
    """The file of each component's weights."""
    parts = COMPOSITIONS[family].components
    return {name: f"{name}/{STEM[one.library]}.safetensors" for name, one in parts.items()}


def files(family: str) -> dict[str, str]:
    """Every file of a checkpoint, and the part that it belongs to."""
    composition = COMPOSITIONS[family]
    named = {INDEX: INDEX, "scheduler/scheduler_config.json": "scheduler"}
    named |= {file: name for name, file in weights(family).items()}
    named |= {f"{name}/config.json": name for name in composition.components}
    for name in composition.tokenizers:
        named |= {f"{name}/{one}.json": name for one in ("tokenizer", "tokenizer_config")}
    return named | ({"tokenizer/chat_template.jinja": "tokenizer"} if composition.chat else {})
