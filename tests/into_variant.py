"""Checkpoints whose weights are named for a variant of them."""

import json
from pathlib import Path

from safetensors.torch import load_file, save_file


def into_variant(folder: Path, variant: str, keep_plain: bool = False) -> None:
    """Every file of weights in the folder is float16 and named for its variant."""
    for file in [*folder.rglob("*.safetensors")]:
        stem, *shard = file.name.removesuffix(".safetensors").split("-", 1)
        name = "-".join((f"{stem}.{variant}", *shard)) + ".safetensors"
        halves = {key: tensor.half() for key, tensor in load_file(file).items()}
        save_file(halves, file.with_name(name), {"format": "pt"})
        if not keep_plain:
            file.unlink()
    for index in [*folder.rglob("*.safetensors.index.json")]:
        content = json.loads(index.read_text())
        for key, shard in content["weight_map"].items():
            stem, rest = shard.split("-", 1)
            content["weight_map"][key] = f"{stem}.{variant}-{rest}"
        index.with_name(index.stem + f".{variant}.json").write_text(json.dumps(content))
        if not keep_plain:
            index.unlink()
