"""What stands beside the engine on one device: diffusers' own pipelines."""

import time
from itertools import count
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline

from benchmarks import turns
from benchmarks.baselines import pipelines
from benchmarks.baselines.reloading import Reloading
from benchmarks.gpu_draws import Draws
from benchmarks.jobs import EXACT_STRENGTH, KINDS, Job
from deployments.diffusion.components import SharedComponents

PAIRS = 6
UNREAD = 256  # jobs from this number on have words that the engine was not asked for


def bare(components: SharedComponents) -> Any:
    """The pipeline over the engine's own modules: what is measured is its loop, not its weights."""
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(dict(components.scheduler_config))
    parts = {**components.modules, **components.tokenizers, "scheduler": scheduler}
    return pipelines.quiet(ZImagePipeline(**parts))


def paired(draw: Draws, pipeline: Any) -> turns.Times:
    """Seconds of one picture from a prompt, default size and steps, turn by turn.

    Both read a prompt that they have not read before.
    """
    seeds = count(UNREAD)

    def by_pipeline() -> None:
        job = Job("t2i", next(seeds), *draw.size, draw.profile.steps.default)
        pipelines.draw({"t2i": pipeline}, job)

    return turns.in_turn(
        {"engine": lambda: draw(draw.size), "bare pipeline": by_pipeline}, rounds=PAIRS
    )


def reloads(
    folder: Path, dtype: torch.dtype, device: torch.device, side: int
) -> dict[str, list[float]]:
    """As `gpu_draws.changes`, by unloading one pipeline and loading the next: one round."""
    reloading = Reloading(folder, dtype, device)
    told: dict[str, list[float]] = {"first_ms": [], "again_ms": []}
    for kind in (KINDS[-1], *KINDS):  # the first one warms up
        for name in told:
            job = Job(kind, seed=1, width=side, height=side, steps=1, strength=EXACT_STRENGTH)
            began = time.perf_counter()
            reloading.draw(job)
            told[name].append((time.perf_counter() - began) * 1e3)
    return {name: times[1:] for name, times in told.items()}
