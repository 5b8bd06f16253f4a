"""Every benchmark by its name, each run in a process of its own."""

import importlib
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from benchmarks.machine import machine
from benchmarks.report import Report, Result, read

LIMIT_S = 1200.0  # no benchmark may take longer

Say = Callable[[str], None]
Measure = Callable[[bool, Say], Report]


class BenchmarkFailed(RuntimeError):
    """A benchmark's process ended without a result; its own words were printed."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A module of this package with `measure(quick, say) -> Report`.

    quick: so small that it only shows that the code runs. say: is told what is being done.
    """

    name: str
    title: str

    @property
    def command(self) -> str:
        return f"signboard bench {self.name}"

    def measure(self, quick: bool, say: Say) -> Result:
        """Run it in this process."""
        module: ModuleType = importlib.import_module(f"benchmarks.{self.name}")
        measure: Measure = module.measure
        began = time.perf_counter()
        report = measure(quick, say)
        return Result(
            name=self.name,
            title=self.title,
            command=self.command,
            machine=machine(),
            took_s=round(time.perf_counter() - began, 1),
            quick=quick,
            report=report,
        )

    def run(self, quick: bool, out: Path) -> Result:
        """Run it in a process of its own, so that it finds the machine as if it were the first.

        out: the result's file. Raises BenchmarkFailed.
        """
        command = [sys.executable, "-m", "benchmarks", self.name, "--out", str(out)]
        try:
            ended = subprocess.run([*command, *["--quick"] * quick], timeout=LIMIT_S, check=False)
        except subprocess.TimeoutExpired:
            raise BenchmarkFailed(f"{self.name}: no result within {LIMIT_S:.0f} s") from None
        if ended.returncode:
            raise BenchmarkFailed(f"{self.name}: its process ended with {ended.returncode}")
        return read(out)


BENCHMARKS = {
    one.name: one
    for one in (
        Benchmark("overlay", "Setting words"),
        Benchmark("rerender", "New words on a kept picture"),
    )
}
