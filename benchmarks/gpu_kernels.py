"""Where a device's time goes while one picture is drawn."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.rig import settle

TOP = 14


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
