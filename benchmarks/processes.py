"""Processor time of this machine's processes, by what they are."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

TICKS_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds(parts: Mapping[str, str]) -> dict[str, float]:
    """User and system seconds that the machine's processes have taken so far.

    parts: by the name to tell it by, what stands in a process's command line; all else is "rest".
    """
    told = dict.fromkeys((*parts, "rest"), 0.0)
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
        told[name] += (int(user) + int(system)) / TICKS_S
    return told


def busy_cores(seconds: float) -> float:
    """Cores of this machine that are busy, over so many seconds."""
    began = _busy_s()
    time.sleep(seconds)
    return (_busy_s() - began) / seconds


def _busy_s() -> float:
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(value) for value in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS_S  # idle, and waiting for files
