"""Where a device's time goes while one picture is drawn, and what other kernels would take."""

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.rig import settle
from deployments.diffusion.components import SharedComponents

TOP = 14
REPEATS = 7
CAPTION = 32  # tokens
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
ATTENTION = ("native", "_native_flash", "_native_cudnn")


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


@torch.inference_mode()
def levers(components: SharedComponents, side: int) -> dict[str, dict[str, float]]:
    """Milliseconds of one forward by attention kernel, and of one decode by memory layout.

    side: of the picture in pixels. A CPU has one attention kernel.
    """
    device, dtype = components.device, components.dtype
    transformer: Any = components.modules["transformer"]
    vae: Any = components.modules["vae"]
    latents = torch.randn(1, 16, side // 8, side // 8, device=device, dtype=dtype)
    width = components.config("transformer").cap_feat_dim
    caption = torch.randn(CAPTION, width, device=device, dtype=dtype)
    sigma = torch.full((1,), 0.5, device=device)

    def forward() -> object:
        return transformer([latents[0].unsqueeze(1)], sigma, [caption], return_dict=False)

    told: dict[str, dict[str, float]] = {"attention": {}, "decode": {}}
    for backend in ATTENTION if device.type == "cuda" else ATTENTION[:1]:
        transformer.set_attention_backend(backend)
        told["attention"][backend] = _median(forward, device)
    transformer.set_attention_backend("native")
    for name, layout in LAYOUTS.items():
        vae.decoder.to(memory_format=layout)
        decode = partial(vae.decode, latents.contiguous(memory_format=layout))
        told["decode"][name] = _median(decode, device)
        with _tuned(device):
            told["decode"][f"{name}, tuned"] = _median(decode, device)
    vae.decoder.to(memory_format=torch.contiguous_format)
    return told


def _median(work: Callable[[], object], device: torch.device) -> float:
    times = []
    for _ in range(REPEATS + 2):
        settle(device)
        began = time.perf_counter()
        work()
        settle(device)
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times[2:])


def _tuned(device: torch.device) -> AbstractContextManager[None]:
    """cuDNN tries its convolutions on each shape before it chooses."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=True)
