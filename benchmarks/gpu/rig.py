"""One model on a device: made of random weights, saved, loaded, put to sleep, held to a budget,
profiled."""

import gc
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from deployments.diffusion.families import Family
from deployments.diffusion.memory import Residency
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.weights import Architecture, SharedComponents

TOP = 14  # kernels that are named, those that take longest first


def save_random_checkpoint(
    profile: DiffusionProfile, device: torch.device, folder: Path
) -> dict[str, float]:
    """Make random weights of the profile's model on `device`, and write them as a checkpoint.

    Answers the seconds that making took, and the bytes made.
    """
    architecture = Architecture.read(profile.model)
    began = time.perf_counter()
    made = architecture.build(device)
    settle(device)
    seconds = time.perf_counter() - began
    index: dict[str, list[str]] = {}
    for name, module in made.modules.items():
        entry = architecture.components[name]
        index[name] = [entry["library"], entry["class"]]
        saved: Any = module
        saved.save_pretrained(folder / name)
    for name, tokenizer in made.tokenizers.items():
        index[name] = ["transformers", type(tokenizer).__name__]
        tokenizer.save_pretrained(folder / name)
    index["scheduler"] = ["diffusers", "FlowMatchEulerDiscreteScheduler"]
    scheduler = folder / "scheduler" / "scheduler_config.json"
    scheduler.parent.mkdir()
    scheduler.write_text(json.dumps(dict(made.scheduler_config)), encoding="utf-8")
    whole = {"_class_name": "ZImagePipeline", **index}
    (folder / "model_index.json").write_text(json.dumps(whole), encoding="utf-8")
    return {"seconds": seconds, "bytes": made.held_bytes}


def load_timed(
    profile: DiffusionProfile, device: torch.device, folder: Path
) -> tuple[SharedComponents, dict[str, float]]:
    """The checkpoint through the project's own loader; seconds with a page cache that is warm."""
    model = profile.model.model_copy(
        update={"source": str(folder), "revision": None, "device": device.type}
    )
    began = time.perf_counter()
    components = SharedComponents.load(model)
    settle(device)
    seconds = time.perf_counter() - began
    held = components.held_bytes
    return components, {"seconds": seconds, "bytes": held, "gb_per_s": held / seconds / 1e9}


def sleep_and_wake(family: Family) -> dict[str, float]:
    """Send a family's weights to host memory and back as an idle engine does; seconds of each.

    `device_bytes_asleep` is what was left. On the CPU there is no bus: the times are those of two
    copies in memory.
    """
    device = family.components.device
    placement = Residency(family)
    placement.apply(())
    held = placement.device_bytes
    settle(device)
    began = time.perf_counter()
    placement.sleep()
    settle(device)
    asleep = time.perf_counter()
    left = allocated(device)
    woken = time.perf_counter()
    placement.wake()
    settle(device)
    awake = time.perf_counter()
    return {
        "sleep_s": asleep - began,
        "wake_s": awake - woken,
        "bytes": held,
        "device_bytes_asleep": left,
    }


def settle(device: torch.device) -> None:
    """Wait until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def allocated(device: torch.device) -> int:
    """Bytes of tensors on a CUDA device; 0 on the CPU, which does not say."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def release(device: torch.device) -> None:
    """Give back what nothing refers to any more, so that other processes find it free."""
    gc.collect()
    torch.compiler.reset()  # compiled code keeps what it was compiled for
    if device.type == "cuda":
        torch.cuda.empty_cache()


@contextmanager
def limited_to(device: torch.device, budget: int, context: int) -> Iterator[None]:
    """The process's share of a CUDA device cut to `budget` bytes, `context` of them not torch's."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min((budget - context) / total, 1.0))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def profiled(draw: Callable[[], object], device: torch.device) -> dict[str, Any]:
    """Milliseconds of one draw by the clock and by the device's kernels, and its copies.

    busy: kernels' share of the clock's time, the profiler's own cost included.
    """
    draw()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        began = time.perf_counter()
        draw()
        settle(device)
        wall = (time.perf_counter() - began) * 1e3
    kernels = [e for e in recorded.key_averages() if e.self_device_time_total > 0]
    waits = [e for e in recorded.key_averages() if "Synchronize" in e.key or "Memcpy" in e.key]
    spent = sum(e.self_device_time_total for e in kernels) / 1e3
    kernels.sort(key=lambda e: -e.self_device_time_total)
    return {
        "wall_ms": wall,
        "kernels_ms": spent,
        "busy": spent / wall,
        "top": [
            {"kernel": e.key[:120], "ms": e.self_device_time_total / 1e3, "calls": e.count}
            for e in kernels[:TOP]
        ],
        "waits": {e.key: e.count for e in waits},
    }
