"""Every benchmark by its name, each run in a process of its own."""

import importlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

import torch

from benchmarks.harness import FORKS, Report, Result, Say, read, this_machine

LIMIT_S = 900.0  # no benchmark may take longer
STOPPED_WITHIN_S = 90.0  # it stops its servers first

Measure = Callable[[bool, Say], Report]


class BenchmarkFailed(RuntimeError):
    """A benchmark's process ended without a result; what it printed last is in the message."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A module of one of the rooms, with `measure(quick, say) -> Report`.

    quick: so small that it only shows that the code runs. say: is told what is being done.
    on_gpu: needs a CUDA device, unless it is quick.
    """

    room: str
    name: str
    title: str
    on_gpu: bool = False

    @property
    def command(self) -> str:
        return f"signboard bench {self.name}"

    def possible(self, quick: bool) -> bool:
        """Whether this machine has the device that it needs."""
        return quick or not self.on_gpu or torch.cuda.is_available()

    def measure(self, quick: bool, say: Say) -> Result:
        """Run it in this process."""
        module: ModuleType = importlib.import_module(f"benchmarks.{self.room}.{self.name}")
        measure: Measure = module.measure
        began = time.perf_counter()
        report = measure(quick, say)
        return Result(
            name=self.name,
            title=self.title,
            command=self.command,
            machine=this_machine(),
            took_s=round(time.perf_counter() - began, 1),
            quick=quick,
            report=report,
        )

    def run(self, quick: bool, out: Path, say: Say) -> Result:
        """Run it in a process of its own, so that it finds the machine as if it were the first.

        out: the result's file. Raises BenchmarkFailed.
        """
        said, saying = FORKS.Pipe(duplex=False)
        with tempfile.NamedTemporaryFile("r") as errors:
            process = FORKS.Process(
                target=_measure, args=(self.name, quick, out, saying, errors.name)
            )
            process.start()
            saying.close()
            limit = threading.Timer(LIMIT_S, process.terminate)
            limit.start()
            try:
                while True:
                    say(said.recv())
            except EOFError:
                pass
            finally:
                limit.cancel()
                process.join(STOPPED_WITHIN_S)
            if process.exitcode != 0:
                end = "".join(errors.readlines()[-20:])
                raise BenchmarkFailed(
                    f"{self.name}: its process ended with {process.exitcode}\n{end}"
                )
        return read(out)


def _measure(name: str, quick: bool, out: Path, saying: Connection, errors: str) -> None:
    """What the process of a benchmark does. errors: the file that it writes them to."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped
    with open(errors, "a") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    BENCHMARKS[name].measure(quick, saying.send).write(out)


BENCHMARKS = {
    one.name: one
    for one in (
        Benchmark("memory", "memory", "Memory for three kinds of pictures"),
        Benchmark("switch", "switch", "A change of kind"),
        Benchmark("overlay", "overlay", "Setting words"),
        Benchmark("load", "isolation", "Words beside a busy engine"),
        Benchmark("overlay", "rerender", "New words on a kept picture"),
        Benchmark("overhead", "overhead", "What serving adds to the bare loop"),
        Benchmark("steps", "steps", "A step against its arithmetic"),
        Benchmark("steps", "levers", "Where the time goes, and what saves it"),
        Benchmark("start", "cold_start", "From the start of a process to ready"),
        Benchmark("load", "traffic", "Load"),
        Benchmark("scale", "scale", "Scale"),
        Benchmark("gpu", "gpu", "Z-Image-Turbo at its real size", on_gpu=True),
    )
}
