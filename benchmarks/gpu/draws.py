"""Pictures drawn on one device, each with its times: by one engine, and by bare pipelines."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline

from benchmarks.baselines import Reloading, pipelines
from benchmarks.harness import EXACT_STRENGTH, KINDS, STRENGTH, Job, Kind, Say, turns
from deployments.diffusion.engine import Engine
from deployments.diffusion.sizes import parse_size
from deployments.diffusion.weights import SharedComponents
from deployments.handover import Drawn

TIMEOUT_S = 600.0
BATCHES = (1, 2, 4, 8)  # pictures a request
CHANGES = 3  # rounds over the three kinds
ORDERS: Mapping[str, Sequence[Kind]] = {
    "t2i": ("t2i",) * 4,
    "i2i": ("i2i",) * 4,
    "alternating": KINDS * 2,
}
PAIRS = 6  # rounds beside the bare pipeline
UNREAD = 256  # jobs from this number on have words that the engine was not asked for


class Draws:
    """Asks one engine for pictures, one request after the other.

    No two prompts are equal, so that none comes from the cache of embeddings.
    """

    def __init__(self, engine: Engine, device: torch.device) -> None:
        self.profile = engine.profile
        self._engine = engine
        self._device = device
        self._asked = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    @property
    def size(self) -> tuple[int, int]:
        """The default width and height."""
        return parse_size(self.profile.sizes.default)

    @property
    def least(self) -> tuple[int, int]:
        """The smallest square."""
        return (self.profile.sizes.min_side,) * 2

    def __call__(
        self,
        size: tuple[int, int],
        n: int = 1,
        *,
        kind: Kind = "t2i",
        steps: int | None = None,
        strength: float = STRENGTH,
    ) -> dict[str, Any]:
        """One request: its latency, a step's and a picture's, in milliseconds.

        steps: the profile's default where not given.
        """
        self._asked += 1
        job = Job(kind, self._asked, *size, steps or self.profile.steps.default, strength)
        params, given = replace(job.params, n=n), job.given
        before = self._engine.state().forwards
        began = time.perf_counter()
        drawn: Drawn = self._engine.submit(f"{self._asked}", params, given).result(TIMEOUT_S)
        total = (time.perf_counter() - began) * 1e3
        return {
            "total_ms": total,
            "picture_ms": total / n,
            "step_ms": drawn.timings_ms["steps"] / drawn.steps_executed,
            "forwards": self._engine.state().forwards - before,
            "steps_executed": drawn.steps_executed,
            "timings_ms": drawn.timings_ms,
        }

    def peak_allocated(self) -> int | None:
        """Bytes that tensors took at most since the start, weights included; None on the CPU."""
        if self._device.type != "cuda":
            return None
        return torch.cuda.max_memory_allocated(self._device)


def requests(draw: Draws) -> dict[str, list[dict[str, Any]]]:
    """Single pictures of the default size: of each kind in a row, then turn by turn."""
    return {name: [draw(draw.size, kind=kind) for kind in order] for name, order in ORDERS.items()}


def batches(draw: Draws, say: Say) -> list[dict[str, Any]]:
    """Several pictures a request, at the smallest square and at the default size.

    `first_ms` holds what a batch size pays once (compilation, kernels); the rest is of the second
    request. Rows beyond the token budget take turns: then there are more forwards than steps.
    """
    made = []
    for size in (draw.least, draw.size):
        for n in BATCHES:
            say(f"{n} of {size[0]}x{size[1]}")
            first = draw(size, n)["total_ms"]
            made.append({"size": size, "n": n, "first_ms": first, **draw(size, n)})
    return made


def changes(draw: Draws) -> dict[str, list[float]]:
    """Milliseconds of the first request after a change of kind, and of the next of that kind.

    One step at the smallest square, where a change would show most.
    """
    first, again = [], []
    for turn in range(CHANGES + 1):  # the first round warms up
        for kind in KINDS:
            pair = [
                draw(draw.least, kind=kind, steps=1, strength=EXACT_STRENGTH)["total_ms"]
                for _ in range(2)
            ]
            if turn:
                first.append(pair[0])
                again.append(pair[1])
    return {"first_ms": first, "again_ms": again}


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
    """As `changes`, by unloading one pipeline and loading the next: one round."""
    reloading = Reloading(folder, dtype, device)
    taken: dict[str, list[float]] = {"first_ms": [], "again_ms": []}
    for kind in (KINDS[-1], *KINDS):  # the first one warms up
        for name in taken:
            job = Job(kind, seed=1, width=side, height=side, steps=1, strength=EXACT_STRENGTH)
            began = time.perf_counter()
            reloading.draw(job)
            taken[name].append((time.perf_counter() - began) * 1e3)
    return {name: times[1:] for name, times in taken.items()}
