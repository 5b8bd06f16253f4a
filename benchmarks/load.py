"""How long the weights take to load, against reading the same files.

    python -m benchmarks.load [--out FILE]

Builds a checkpoint of about 1 GB of the real classes, with random weights, in a temporary folder;
then, turn by turn, reads its files from start to end and loads it with `SharedComponents.load`,
adding up every byte of every weight, since mapped files are read only when they are touched. What
is imported and made once in a process is not timed.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImageTransformer2DModel
from transformers import Qwen3Config, Qwen3Model

from benchmarks.machine import machine
from deployments.diffusion.components import SharedComponents
from deployments.diffusion.profile import EMBEDDED_MODEL, ModelSource

CHUNK = 16 * 2**20
ROUNDS = 9
GOAL = 1.5


def save_checkpoint(folder: Path) -> None:
    """About 1 GB in bfloat16: Z-Image's classes, the autoencoder at its real size."""
    with torch.device("meta"):
        modules = build()
    for name, module in modules.items():
        module.to(torch.bfloat16).to_empty(device="cpu")
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.data.view(torch.int16).random_(0, 2**14)  # cheap, finite in bfloat16
        module.save_pretrained(folder / name, max_shard_size="400MB")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    for file in ("model_index.json", "tokenizer"):
        (folder / file).symlink_to(EMBEDDED_MODEL / file)


def build() -> dict[str, Any]:
    """The components that bear weights."""
    transformer = ZImageTransformer2DModel(
        dim=1280, n_layers=11, n_refiner_layers=2, n_heads=10, n_kv_heads=10, cap_feat_dim=1024
    )
    text_encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=32_000,
            hidden_size=1024,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=16,
            num_key_value_heads=8,
            head_dim=128,
        )
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=16,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    return {"transformer": transformer, "text_encoder": text_encoder, "vae": vae}


def drop(files: list[Path]) -> None:
    """Forget the files' pages, so that they are read from the disk."""
    for file in files:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(files: list[Path]) -> float:
    """Seconds to read the files one after the other."""
    buffer = memoryview(bytearray(CHUNK))
    began = time.perf_counter()
    for file in files:
        with file.open("rb", buffering=0) as opened:
            while opened.readinto(buffer):
                pass
    return time.perf_counter() - began


def load(source: ModelSource) -> float:
    """Seconds to load the components and to touch every byte of them."""
    began = time.perf_counter()
    components = SharedComponents.load(source)
    for tensor in components.tensors():
        touch(tensor)
    return time.perf_counter() - began


def touch(tensor: torch.Tensor) -> None:
    """Add up all bytes, eight at a time where they can be."""
    data = tensor.view(-1).view(torch.uint8)
    (data if len(data) % 8 else data.view(torch.int64)).sum()


def measure(cold: bool) -> dict[str, Any]:
    """The result: medians over rounds of reading, then loading."""
    with tempfile.TemporaryDirectory(prefix="signboard-load-") as name:
        folder = Path(name)
        save_checkpoint(folder)
        files = sorted(folder.glob("*/*.safetensors"))
        source = ModelSource(source=name, dtype="bfloat16", device="cpu")
        read(files), load(source)  # imports, and the page cache
        reads: list[float] = []
        loads: list[float] = []
        for _ in range(ROUNDS):
            if cold:
                drop(files)
            reads.append(read(files))
            if cold:
                drop(files)
            loads.append(load(source))
        total = sum(file.stat().st_size for file in files)
    ratio = statistics.median(loads) / statistics.median(reads)
    return {
        "bytes": total,
        "page_cache": "dropped" if cold else "warm",
        "read_s": reads,
        "load_s": loads,
        "ratio_of_medians": ratio,
        "goal": GOAL,
        "holds": ratio <= GOAL,
    }


def main() -> None:
    """Measure and write the result."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, help="JSON file to write")
    options = arguments.parse_args()
    result = {"machine": machine(), "runs": [measure(cold) for cold in (False, True)]}
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
