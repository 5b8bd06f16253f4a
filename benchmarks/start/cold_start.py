"""From the start of a process to ready, with a checkpoint of 1 GB, part by part.

The weights' part is held against reading the same files; the whole is told for the engine in a
fresh process and for `signboard serve` with Ray.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.harness import (
    Figure,
    Plot,
    Report,
    Say,
    Series,
    Table,
    Times,
    engines,
    median,
    ratio,
    write_profile,
)
from benchmarks.start import served_start
from benchmarks.start.weights import drop, files_of, loaded_and_read
from deployments.diffusion.profile import DiffusionProfile

ROUNDS = 20
START_WITHIN_S = 120.0
BOUND = 1.5
CACHES = {"warm": "in the page cache", "dropped": "on the disk"}

Parts = dict[str, float]

NOTES = [
    "The checkpoint has Z-Image's classes and random weights in the dtype it runs in. "
    "Loading means `SharedComponents.load` and adding up every byte of every weight, since mapped "
    "files are read only where they are touched; reading means all of its files of weights from "
    "start to end. Between the two, turn by turn, the page cache keeps the files or forgets them.",
    "The starts are whole processes; where there are several, medians are told. The engine's own "
    "phases are those that `/v1/capabilities` tells as `engine.start_s`; of a start by `signboard "
    "serve` the other moments are what the command prints and Ray's logs say. Python's and the "
    "libraries' files are in the page cache.",
]


def measure(quick: bool, say: Say) -> Report:
    """Weights against reading, then whole starts. quick: starts one server, about 30 s in all."""
    with tempfile.TemporaryDirectory(prefix="signboard-bench-") as name:
        folder = Path(name)
        say("making the checkpoint")
        engines.save(folder)
        profile = engines.profile(folder)
        size = sum(file.stat().st_size for file in files_of(folder))
        weights = {
            cache: loaded_and_read(
                profile.model,
                1 if quick else ROUNDS,
                dropped=cache == "dropped",
                progress=_counted(say, f"weights {CACHES[cache]}"),
            )
            for cache in CACHES
        }
        engine = engine_starts(profile, folder, say)
        say("signboard serve")
        served = [served_start.start(profile)]
    return report(size, weights, engine, served)


def _counted(say: Say, what: str) -> Callable[[int, int], None]:
    return lambda done, of: say(f"{what}: {done} of {of}")


def engine_starts(profile: DiffusionProfile, folder: Path, say: Say) -> dict[str, list[Parts]]:
    """A start of the engine in a fresh process with the weights cached, and one without."""
    file = write_profile(profile, folder)
    starts: dict[str, list[Parts]] = {}
    for cache, where in CACHES.items():
        say(f"the engine in a fresh process, weights {where}")
        if cache == "dropped":
            drop(files_of(folder))
        starts[cache] = [engine_start(file)]
    return starts


def engine_start(file: Path) -> Parts:
    """One start, on the profile in `file`."""
    command = [sys.executable, "-m", "benchmarks.start.fresh_start", str(file), str(time.time())]
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, timeout=START_WITHIN_S
    )
    parts: Parts = json.loads(ended.stdout)
    return parts


def report(
    size: int,
    weights: Mapping[str, Times],
    engine: Mapping[str, Sequence[Parts]],
    served: Sequence[Parts],
) -> Report:
    """All that was measured, as a report. size: bytes of the weights."""
    starts = {
        **{f"engine, weights {CACHES[cache]}": runs for cache, runs in engine.items()},
        "signboard serve": served,
    }
    return Report(
        figures=[_figure(cache, times) for cache, times in weights.items()],
        tables=[_weights_table(size, weights), *(_table(*start) for start in starts.items())],
        plots=[
            _plot("cold_start_engine", "The engine's start in a fresh process", engine["warm"]),
            _plot("cold_start_served", "The start of `signboard serve`", served),
        ],
        notes=NOTES,
        data={"bytes": size, "weights": dict(weights), "starts": starts},
    )


def _figure(cache: str, times: Times) -> Figure:
    spread = ratio(times["load"], times["read"])
    return Figure(
        name=f"loading {CACHES[cache]}, against reading",
        number=5,
        value=spread.value,
        low=spread.low,
        high=spread.high,
        bound=BOUND,
        baseline="reading the same files from start to end",
    )


def _weights_table(size: int, weights: Mapping[str, Times]) -> Table:
    rows: list[list[str | int | float | None]] = []
    for cache, times in weights.items():
        load, read = median(times["load"]), median(times["read"])
        rows.append([CACHES[cache], load.value, load.low, load.high, read.value, size / 1e9])
    columns = ["weights", "load, s", "from", "to", "read, s", "GB"]
    return Table(title="Weights: loading and reading", columns=columns, rows=rows)


def _table(title: str, starts: Sequence[Parts]) -> Table:
    """Every part's median, least and most; the parts' medians need not add up to the whole's."""
    whole = [sum(parts.values()) for parts in starts]
    columns = {name: [parts[name] for parts in starts] for name in starts[0]} | {"whole": whole}
    return Table(
        title=f"Start: {title} ({len(starts)} start{'s' * (len(starts) > 1)})",
        columns=["part", "s", "least", "most", "share, %"],
        rows=[
            [
                name,
                statistics.median(times),
                min(times),
                max(times),
                100 * statistics.median(times) / statistics.median(whole),
            ]
            for name, times in columns.items()
        ],
    )


def _plot(name: str, title: str, starts: Sequence[Parts]) -> Plot:
    """The parts as bars beside one another, in the order of the start."""
    names = list(starts[0])
    times = [[parts[part] for parts in starts] for part in names]
    series = Series(
        label="seconds",
        x=names,
        y=[statistics.median(one) for one in times],
        low=[min(one) for one in times],
        high=[max(one) for one in times],
    )
    return Plot(
        name=name, title=title, kind="bars", x_label="part", y_label="seconds", series=[series]
    )
