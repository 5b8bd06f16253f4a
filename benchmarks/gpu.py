"""Memory and time of Z-Image-Turbo at its real size, with random weights, on a CUDA device.

It builds the model there from its architecture, writes it to a temporary folder (21 GB), loads it
with the project's loader and draws with the project's engine: once held to 22.5 GiB, once with the
whole card, each with and without compiled blocks. Random weights draw noise, at the cost of real
ones.

Quick, it does the same with the embedded model's architecture on the CPU: there memory is computed
from shapes and not measured, nothing limits the process, and sleep is a copy in memory. That tries
this code and tells nothing of a GPU.
"""

import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_report import told
from benchmarks.report import Report
from benchmarks.rig import limited_to, load_timed, save_random_checkpoint, sleep_and_wake
from benchmarks.suite import Say
from deployments.diffusion.engine import Engine
from deployments.diffusion.families import Family
from deployments.diffusion.families.load import family_of
from deployments.diffusion.measure import CUDA_CONTEXT, demand_of, measured
from deployments.diffusion.memory import MAX_N, MemoryPlan, plan
from deployments.diffusion.params import GenerationParams
from deployments.diffusion.profile import DiffusionProfile, parse_bytes, parse_size
from deployments.handover import Drawn, Fitted
from serve.settings import load_profile

LIBRARIES = ("torch", "diffusers", "transformers", "safetensors")
CARD = parse_bytes("22.5GiB")
LARGE_CARD = parse_bytes("40GiB")  # from here on the 80 GB profile is all resident
TIMEOUT_S = 1800.0


def measure(quick: bool, say: Say) -> Report:
    """The real size on the CUDA device; quick: the embedded model on the CPU.

    Raises RuntimeError where there is no such device.
    """
    if not quick and not torch.cuda.is_available():
        raise RuntimeError("this machine has no CUDA device")
    device = torch.device("cpu" if quick else "cuda")
    return told(run(cases(device, small=quick), device, say, compiled=not quick))


def run(
    budgets: Sequence[tuple[DiffusionProfile, int]],
    device: torch.device,
    say: Say,
    *,
    compiled: bool,
) -> dict[str, Any]:
    """Everything that is measured, ready for JSON. Seconds, milliseconds and bytes as named.

    budgets: profiles of one model, each with the bytes that it may take.
    """
    first, _ = budgets[0]
    result: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": first.name.rpartition("-")[0] or first.name,
        "device": _describe(device),
        "versions": {"python": platform.python_version(), **{n: version(n) for n in LIBRARIES}},
        "cases": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        result["build"] = save_random_checkpoint(first, device, Path(folder))
        components, result["load"] = load_timed(first, device, Path(folder))
    for compiling in (False, True) if compiled else (False,):
        if compiling:
            transformer: Any = components.modules["transformer"]
            transformer.compile_repeated_blocks(fullgraph=True)
        for profile, budget in budgets:
            with limited_to(device, budget, CUDA_CONTEXT):
                case = _case(profile, family_of(profile, components), budget, say)
            result["cases"].append({"compiled": compiling, **case})
    result["sleep"] = sleep_and_wake(family_of(first, components))
    return result


def cases(device: torch.device, *, small: bool) -> list[tuple[DiffusionProfile, int]]:
    """The budgets of a device: 22.5 GiB and all it has, each with the profile for such a card."""
    if small:
        return [(load_profile("embedded"), parse_bytes("1GiB"))]
    total = torch.cuda.get_device_properties(device).total_memory
    whole = "z-image-turbo-80gb" if total >= LARGE_CARD else "z-image-turbo-24gb"
    every = [(load_profile(whole), total)]
    if total > CARD:
        every.insert(0, (load_profile("z-image-turbo-24gb"), CARD))
    return every


def _case(profile: DiffusionProfile, family: Family, budget: int, say: Say) -> dict[str, Any]:
    """One budget: the plan it gives, then pictures under that plan."""
    say(f"{profile.name} under {budget / 2**30:.1f} GiB")
    figures = measured(profile, family)
    made = plan(figures, demand_of(profile), budget)
    case: dict[str, Any] = {
        "profile": profile.name,
        "budget": budget,
        "plan": _plain(made),
        "working_memory": {"basis": figures.basis, "encode": figures.encode},
    }
    if made.reliefs:
        return {**case, "skipped": f"{made.residency}: only resident models are drawn with here"}
    engine = Engine(_under(profile, made), lambda _: family, reliefs=())
    try:
        engine.wait_until_ready(TIMEOUT_S)
        draw = _Draws(engine, family.components.device)
        case["requests"] = _requests(draw)
        case["batches"] = _batches(draw, say)
        case["peak_allocated"] = draw.peak_allocated()
    finally:
        engine.close()
    return case


def _under(profile: DiffusionProfile, made: MemoryPlan) -> DiffusionProfile:
    """The profile with the plan's limits, and room for full batches."""
    engine = profile.engine.model_copy(
        update={"token_budget": made.token_budget, "max_running": MAX_N}
    )
    sizes = profile.sizes.model_copy(update={"max_pixels": made.max_pixels})
    return profile.model_copy(update={"engine": engine, "sizes": sizes, "max_n": MAX_N})


class _Draws:
    """Pictures through one engine, each with its times."""

    def __init__(self, engine: Engine, device: torch.device) -> None:
        self.profile = engine.profile
        self._engine = engine
        self._device = device
        self._asked = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def __call__(self, size: tuple[int, int], n: int = 1, *, given: bool = False) -> dict[str, Any]:
        """One request: its latency, a step's and a picture's, in milliseconds."""
        self._asked += 1
        params = GenerationParams(
            prompt="a",
            width=size[0],
            height=size[1],
            num_inference_steps=self.profile.steps.default,
            seed=self._asked,
            n=n,
            strength=self.profile.default_strength if given else None,
        )
        picture = Fitted(np.zeros((size[1], size[0], 3), np.uint8)) if given else None
        before = self._engine.state().forwards
        began = time.perf_counter()
        drawn: Drawn = self._engine.submit(f"{self._asked}", params, picture).result(TIMEOUT_S)
        total = (time.perf_counter() - began) * 1e3
        forwards = self._engine.state().forwards - before
        return {
            "total_ms": total,
            "picture_ms": total / n,
            "step_ms": drawn.timings_ms["steps"] / drawn.steps_executed,
            "forwards": forwards,
            "steps_executed": drawn.steps_executed,
            "timings_ms": drawn.timings_ms,
        }

    def peak_allocated(self) -> int | None:
        """Bytes that tensors took at most since the start, weights included; None on the CPU."""
        if self._device.type != "cuda":
            return None
        return torch.cuda.max_memory_allocated(self._device)


def _requests(draw: _Draws) -> dict[str, list[dict[str, Any]]]:
    """Single pictures of the default size: of each kind in a row, then turn by turn."""
    size = parse_size(draw.profile.sizes.default)
    orders = {"t2i": (False,) * 4, "i2i": (True,) * 4, "alternating": (False, True) * 3}
    return {name: [draw(size, given=given) for given in order] for name, order in orders.items()}


def _batches(draw: _Draws, say: Say) -> list[dict[str, Any]]:
    """1 to 8 pictures a request, at the smallest square and at the default size.

    `first_ms` holds what a batch size pays once (compilation, kernels); the rest is of the second
    request. Rows beyond the token budget take turns: then there are more forwards than steps.
    """
    sizes = draw.profile.sizes
    batches = []
    for size in ((sizes.min_side, sizes.min_side), parse_size(sizes.default)):
        for n in range(1, MAX_N + 1):
            say(f"{n} of {size[0]}x{size[1]}")
            first = draw(size, n)["total_ms"]
            batches.append({"size": size, "n": n, "first_ms": first, **draw(size, n)})
    return batches


def _plain(made: MemoryPlan) -> dict[str, Any]:
    phases = {phase.name: dict(phase.rows) for phase in made.phases}
    return {**asdict(made), "phases": phases}


def _describe(device: torch.device) -> dict[str, Any]:
    if device.type != "cuda":
        return {"name": f"cpu {platform.machine()}", "total_bytes": None}
    properties = torch.cuda.get_device_properties(device)
    return {"name": properties.name, "total_bytes": properties.total_memory}
