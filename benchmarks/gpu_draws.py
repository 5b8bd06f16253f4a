"""Pictures through one engine on one device, each with its times."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.suite import Say
from deployments.diffusion.engine import Engine
from deployments.diffusion.params import GenerationParams
from deployments.diffusion.profile import parse_size
from deployments.handover import Drawn, Fitted

TIMEOUT_S = 600.0
BATCHES = (1, 2, 4, 8)
CHANGES = 3  # rounds over the three kinds
ORDERS = {"t2i": ("t2i",) * 4, "i2i": ("i2i",) * 4, "alternating": ("t2i", "i2i", "inpaint") * 2}


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
        kind: str = "t2i",
        steps: int | None = None,
        strength: float | None = None,
    ) -> dict[str, Any]:
        """One request: its latency, a step's and a picture's, in milliseconds.

        steps: the profile's default where not given; strength, of an edit, likewise.
        """
        self._asked += 1
        given, mask = None, None
        if kind == "inpaint":
            mask = np.zeros((size[1], size[0]), np.bool_)
            mask[size[1] // 4 : -size[1] // 4, size[0] // 4 : -size[0] // 4] = True
        if kind != "t2i":
            given = Fitted(np.zeros((size[1], size[0], 3), np.uint8), mask)
            strength = strength or self.profile.default_strength
        params = GenerationParams(
            prompt=prompt(self._asked),
            width=size[0],
            height=size[1],
            num_inference_steps=steps or self.profile.steps.default,
            seed=self._asked,
            n=n,
            strength=strength,
        )
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


def prompt(number: int) -> str:
    """As long as an advert's, and never the same twice."""
    return f"picture {number} of a red car on a white table beside a cup of coffee in the morning"


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
    kinds: Sequence[str] = ("t2i", "i2i", "inpaint")
    first, again = [], []
    for turn in range(CHANGES + 1):  # the first round warms up
        for kind in kinds:
            strength = None if kind == "t2i" else 1.0
            pair = [
                draw(draw.least, kind=kind, steps=1, strength=strength)["total_ms"]
                for _ in range(2)
            ]
            if turn:
                first.append(pair[0])
                again.append(pair[1])
    return {"first_ms": first, "again_ms": again}
