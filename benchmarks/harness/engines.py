"""Engines to measure: of the embedded model, or of a checkpoint of 1 GB with random weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImageTransformer2DModel
from numpy.typing import NDArray
from transformers import Qwen3Config, Qwen3Model

from benchmarks.harness.jobs import Job
from deployments.diffusion.engine import Engine
from deployments.diffusion.families import load_family
from deployments.diffusion.profile import EMBEDDED_MODEL, DiffusionProfile
from serve.profiles import load_profile

DTYPE = "float32"
SPREAD = 0.03  # of weights; small enough that activations stay finite
READY_WITHIN_S = 300.0
ANSWER_WITHIN_S = 600.0
NUMBERS = count()


def save(folder: Path) -> Path:
    """Some 1 GB: Z-Image's classes, of fewer and narrower layers."""
    torch.manual_seed(0)
    with torch.device("meta"):
        modules = build()
    for name, module in modules.items():
        module.to_empty(device="cpu")
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.data.uniform_(-SPREAD, SPREAD)
        module.save_pretrained(folder / name, max_shard_size="400MB")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    for file in ("model_index.json", "tokenizer"):
        (folder / file).symlink_to(EMBEDDED_MODEL / file)
    return folder


def profile(folder: Path, dtype: str = DTYPE) -> DiffusionProfile:
    """Serves it in its own dtype, at 64 to 512 pixels."""
    return DiffusionProfile.model_validate(
        {
            "name": "gigabyte",
            "model": {"source": str(folder), "dtype": dtype, "device": "cpu"},
            "sizes": {
                "multiple": 32,
                "min_side": 64,
                "max_side": 512,
                "max_pixels": 512 * 512,
                "default": "64x64",
                "recommended": ["64x64", "128x128"],
            },
            "steps": {"default": 1, "max": 8, "quality": {"low": 1, "medium": 2, "high": 4}},
            "engine": {
                "token_budget": 4096,
                "max_running": 8,
                "max_waiting": 64,
                "max_prompt_tokens": 64,
                "threads": 2,
            },
        }
    )


def build() -> dict[str, Any]:
    """The components that bear weights.

    More than half of the bytes are embeddings of Qwen3's whole vocabulary, which every way must
    load and none computes with: what a change of kind costs is not hidden by the work around it.
    """
    transformer = ZImageTransformer2DModel(
        dim=1024, n_layers=2, n_refiner_layers=1, n_heads=8, n_kv_heads=8, cap_feat_dim=1024
    )
    text_encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=151_936,
            hidden_size=1024,
            intermediate_size=3072,
            num_hidden_layers=2,
            num_attention_heads=16,
            num_key_value_heads=8,
            head_dim=128,
        )
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32, 64, 128, 256),
        layers_per_block=2,
        latent_channels=16,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    return {"transformer": transformer, "text_encoder": text_encoder, "vae": vae}


@contextmanager
def running(profile: DiffusionProfile) -> Iterator[Engine]:
    """The profile's engine, ready when the block is entered. Raises NotReady."""
    engine = Engine(profile, partial(load_family, profile))
    try:
        engine.wait_until_ready(READY_WITHIN_S)
        yield engine
    finally:
        engine.close()


def draw(engine: Engine, job: Job) -> NDArray[np.uint8]:
    """The picture of a job: uint8 (H, W, 3)."""
    answer = engine.submit(f"job-{next(NUMBERS)}", job.params, job.given)
    picture: NDArray[np.uint8] = answer.result(ANSWER_WITHIN_S).pictures[0]
    return picture


def embedded(**engine: Any) -> DiffusionProfile:
    """It, with these of the engine's settings changed."""
    return changed(load_profile("embedded"), **engine)


def changed(profile: DiffusionProfile, **engine: Any) -> DiffusionProfile:
    """The profile with other settings of its engine, checked anew."""
    fields = profile.model_dump(mode="json")
    return DiffusionProfile.model_validate({**fields, "engine": {**fields["engine"], **engine}})
