"""Processes of their own without an import of their own.

The models' libraries take some 10 s of a start. These processes are forked from one that has
imported them and computed nothing, so that none finds another's threads or device.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["benchmarks.drawers", "benchmarks.footprint"])


def fork(begin: Callable[..., object], *arguments: Any) -> ProcessPoolExecutor:
    """One process, which calls `begin` first, with these arguments."""
    return ProcessPoolExecutor(1, FORKS, begin, arguments)
