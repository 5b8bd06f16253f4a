"""This machine: what it is, its cores, the time of its processes, and processes of its own."""

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import torch

TICKS_S = os.sysconf("SC_CLK_TCK")  # a second
PACKAGES = ("torch", "diffusers", "transformers", "safetensors")
FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["benchmarks.baselines.processes", "benchmarks.memory.footprint"])


def cpu_seconds(parts: Mapping[str, str]) -> dict[str, float]:
    """User and system seconds that the machine's processes have taken so far.

    parts: by the name to tell it by, what stands in a process's command line; all else is "rest".
    """
    spent = dict.fromkeys((*parts, "rest"), 0.0)
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_text(encoding="utf-8", errors="replace")
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        name = next((name for name, part in parts.items() if part in command), "rest")
        user, system = stat.rpartition(")")[2].split()[11:13]
        spent[name] += (int(user) + int(system)) / TICKS_S
    return spent


def busy_cores(seconds: float) -> float:
    """Cores of this machine that are busy, over so many seconds."""
    began = _busy_s()
    time.sleep(seconds)
    return (_busy_s() - began) / seconds


def _busy_s() -> float:
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(value) for value in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS_S  # idle, and waiting for files


def this_machine() -> dict[str, Any]:
    """The processor, the device and the versions that matter."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


@contextmanager
def cores(number: int) -> Iterator[None]:
    """On so many cores, OpenCV without threads of its own; as before when the block ends."""
    allowed, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, sorted(allowed)[:number])
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        cv2.setNumThreads(threads)


def fork(begin: Callable[..., object], *arguments: Any) -> ProcessPoolExecutor:
    """One process, which calls `begin` first, with these arguments."""
    return ProcessPoolExecutor(1, FORKS, begin, arguments)
