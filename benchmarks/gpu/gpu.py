"""Memory and time of Z-Image-Turbo at its real size, with random weights, on a CUDA device.

It builds the model there from its architecture, writes it to a temporary folder (21 GB), loads it
with the project's loader and draws with the project's engine: held to 22.5 GiB, with the whole
card, and with compiled blocks. Beside it stand diffusers' pipelines: one over the same modules,
turn by turn; separate ones in processes of their own; one that is unloaded and loaded again.
Random weights draw noise, at the cost of real ones.

Quick, it does the same with the embedded model's architecture on the CPU: there memory is computed
from shapes and not measured, nothing limits the process, and sleep is a copy in memory. That tries
this code and tells nothing of a GPU.
"""

import platform
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.draws import BATCHES, Draws, bare, batches, changes, paired, reloads, requests
from benchmarks.gpu.report import report_of
from benchmarks.gpu.rig import (
    limited_to,
    load_timed,
    profiled,
    release,
    save_random_checkpoint,
    sleep_and_wake,
)
from benchmarks.harness import Report, Say
from benchmarks.memory import SIGNBOARD, memory
from deployments.diffusion.engine import Engine
from deployments.diffusion.families import ZImage, compile_modules, family_of
from deployments.diffusion.memory import CUDA_CONTEXT, MemoryPlan, demand_of, measured, plan_memory
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.sizes import parse_bytes
from deployments.diffusion.weights import DTYPES, SharedComponents
from serve.profiles import load_profile

LIBRARIES = ("torch", "diffusers", "transformers", "safetensors")
CARD = parse_bytes("22.5GiB")
LARGE_CARD = parse_bytes("40GiB")  # from here on the 80 GB profile is all resident
TIMEOUT_S = 600.0
RESIDENT = {"tiled_decode"}  # the weights stay where they are
WAYS = ("one", SIGNBOARD, "three")  # of holding three kinds


def measure(quick: bool, say: Say) -> Report:
    """The real size on the CUDA device; quick: the embedded model on the CPU.

    Raises RuntimeError where there is no such device.
    """
    if not quick and not torch.cuda.is_available():
        raise RuntimeError("this machine has no CUDA device")
    device = torch.device("cpu" if quick else "cuda")
    return report_of(run(cases(device, small=quick), device, say, compiled=not quick))


def run(
    budgets: Sequence[tuple[DiffusionProfile, int]],
    device: torch.device,
    say: Say,
    *,
    compiled: bool,
) -> dict[str, Any]:
    """Everything that is measured, ready for JSON. Seconds, milliseconds and bytes as named.

    budgets: profiles of one model, each with the bytes that it may take, the least first; the last
    is drawn with as the modules are written, all of them once they are compiled.
    """
    first, _ = budgets[0]
    result: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": first.name.rpartition("-")[0] or first.name,
        "device": _describe(device),
        "versions": {"python": platform.python_version(), **{n: version(n) for n in LIBRARIES}},
    }
    with tempfile.TemporaryDirectory(prefix="signboard-bench-") as name:
        folder = Path(name)
        say(f"{result['model']}: random weights to disk, and loaded")
        result["build"] = save_random_checkpoint(first, device, folder)
        components, result["load"] = load_timed(first, device, folder)
        result["cases"] = [case_of(*budgets[-1], components, say)]
        if compiled:
            compile_modules(components, ZImage.uses)
            result["cases"] += [case_of(*one, components, say, compiled=True) for one in budgets]
        result["sleep"] = sleep_and_wake(family_of(first, components))
        del components
        release(device)
        say("pipelines that are unloaded and loaded again")
        result["reloads"] = reloads(folder, DTYPES[first.model.dtype], device, first.sizes.min_side)
        release(device)
        footprints = memory.take_each(WAYS, folder, first.model.dtype, say)
        result["footprints"] = {way: asdict(one) for way, one in footprints.items()}
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


def case_of(
    profile: DiffusionProfile,
    budget: int,
    components: SharedComponents,
    say: Say,
    *,
    compiled: bool = False,
) -> dict[str, Any]:
    """One budget: the plan it gives, then pictures under that plan."""
    say(f"{profile.name} under {budget / 2**30:.1f} GiB{', compiled' if compiled else ''}")
    model = profile.model.model_copy(update={"compile": compiled})
    profile = profile.model_copy(update={"model": model})
    with limited_to(components.device, budget, CUDA_CONTEXT):
        family = family_of(profile, components)
        figures = measured(profile, family)
        made = plan_memory(figures, demand_of(profile), budget)
        case: dict[str, Any] = {
            "profile": profile.name,
            "budget": budget,
            "compiled": compiled,
            "plan": _plain(made),
            "working_memory": {"basis": figures.basis, "encode": figures.encode},
        }
        if not set(made.reliefs) <= RESIDENT:
            return {**case, "skipped": f"{made.residency}: only resident models are drawn with"}
        engine = Engine(_under(profile, made), lambda _: family, reliefs=made.reliefs)
        try:
            engine.wait_until_ready(TIMEOUT_S)
            case["ready_s"] = engine.state().start_s
            return {**case, **_drawn(Draws(engine, components.device), components, say)}
        finally:
            engine.close()


def _drawn(draw: Draws, components: SharedComponents, say: Say) -> dict[str, Any]:
    """What one engine is asked for, beside the bare pipeline over its modules."""
    answers: dict[str, Any] = {"requests": requests(draw), "batches": batches(draw, say)}
    answers["peak_allocated"] = draw.peak_allocated()  # of the engine alone
    answers["paired"] = paired(draw, bare(components))
    answers["changes"] = changes(draw)
    answers["kernels"] = profiled(lambda: draw(draw.size), components.device)
    busy = answers["kernels"]["busy"]
    say(f"beside a bare pipeline: {answers['paired']}; the device was busy {busy}")
    return answers


def _under(profile: DiffusionProfile, made: MemoryPlan) -> DiffusionProfile:
    """The profile with the plan's limits, and room for full batches."""
    engine = profile.engine.model_copy(
        update={"token_budget": made.token_budget, "max_running": BATCHES[-1]}
    )
    sizes = profile.sizes.model_copy(update={"max_pixels": made.max_pixels})
    return profile.model_copy(update={"engine": engine, "sizes": sizes, "max_n": BATCHES[-1]})


def _plain(made: MemoryPlan) -> dict[str, Any]:
    phases = {phase.name: dict(phase.rows) for phase in made.phases}
    return {**asdict(made), "phases": phases}


def _describe(device: torch.device) -> dict[str, Any]:
    if device.type != "cuda":
        return {"name": f"cpu {platform.machine()}", "total_bytes": None}
    properties = torch.cuda.get_device_properties(device)
    return {"name": properties.name, "total_bytes": properties.total_memory}
