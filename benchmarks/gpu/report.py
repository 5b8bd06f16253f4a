"""What a run on a GPU tells: its times beside those that others have published."""

import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.harness import Cell, Figure, Report, Table, turns
from benchmarks.memory import Footprint, report

PUBLISHED_MS = 906.0  # SGLang Diffusion, H100, 1024x1024, 9 steps
BASELINE = "906 ms: SGLang Diffusion on an H100, 9 steps, as published"
GIB = 2**30

Run = Mapping[str, Any]


def report_of(run: Run) -> Report:
    """The report of a run, as `gpu.run` answers it; latency counts on the largest budget.

    A run that was cut short lacks what comes last: sleep, reloads, footprints.
    """
    drawn = [case for case in run["cases"] if "requests" in case]
    largest = [case for case in drawn if case["budget"] == drawn[-1]["budget"]]
    load = run["load"]
    ways = {way: Footprint(**taken) for way, taken in run.get("footprints", {}).items()}
    notes = [
        f"{run['device']['name']}; {run['model']}, random weights of the real shapes, "
        f"{load['bytes'] / GIB:.2f} GiB, loaded in {load['seconds']:.1f} s "
        f"({load['gb_per_s']:.1f} GB/s, page cache warm).",
        *map(_slept, [run["sleep"]] if "sleep" in run else []),
        *map(_reloads, [run["reloads"]] if "reloads" in run else []),
        *map(_busy, largest),
    ]
    return Report(
        figures=[
            *map(_latency, largest),
            *map(_beside_bare, largest),
            *(report.figures(run["model"], ways) if ways else []),
        ],
        tables=[
            _plans(run["cases"]),
            _single(drawn),
            _batched(drawn),
            *([report.table(run["model"], ways)] if ways else []),
            *map(_kernels, largest),
        ],
        notes=notes,
        data=dict(run),
    )


def _beside_bare(case: Run) -> Figure:
    """Of times taken turn by turn."""
    times = case["paired"]
    ratio = turns.ratio(times["engine"], times["bare pipeline"])
    return Figure(
        name=f"engine over the bare pipeline on its modules{_compiled(case)}",
        number=3,
        value=ratio.value,
        low=ratio.low,
        high=ratio.high,
        bound=1.0,
        baseline=f"bare pipeline: {1e3 * statistics.median(times['bare pipeline']):.0f} ms",
    )


def _slept(sleep: Run) -> str:
    return f"To sleep in {sleep['sleep_s']:.2f} s, awake in {sleep['wake_s']:.2f} s."


def _reloads(reloads: Run) -> str:
    first, again = (statistics.median(reloads[name]) for name in ("first_ms", "again_ms"))
    return (
        f"Pipelines that are unloaded and loaded again take {first / 1e3:.1f} s for the first "
        f"picture of one step after a change of kind, {again:.0f} ms for the next."
    )


def _busy(case: Run) -> str:
    changes, kernels = case["changes"], case["kernels"]
    first, again = (statistics.median(changes[name]) for name in ("first_ms", "again_ms"))
    return (
        f"{_case(case)}: the first picture of one step after a change of kind took {first:.1f} ms, "
        f"the next of that kind {again:.1f} ms. The device's kernels filled "
        f"{kernels['busy']:.1%} of the time that one picture of the default size took."
    )


def _kernels(case: Run) -> Table:
    whole = case["kernels"]["kernels_ms"]
    return Table(
        title=f"Kernels of one picture, {_case(case)}",
        columns=["Kernel", "ms", "Share", "Calls"],
        rows=[
            [f"`{one['kernel']}`", round(one["ms"], 1), f"{one['ms'] / whole:.1%}", one["calls"]]
            for one in case["kernels"]["top"]
        ],
    )


def _latency(case: Run) -> Figure:
    times = [request["total_ms"] for request in case["requests"]["t2i"][1:]]
    return Figure(
        name=f"one picture from a prompt, default size and steps{_compiled(case)}",
        value=statistics.median(times),
        low=min(times),
        high=max(times),
        spread="range",
        unit="ms",
        bound=PUBLISHED_MS,
        baseline=BASELINE,
    )


def _plans(cases: list[Run]) -> Table:
    rows: list[list[Cell]] = []
    for case in cases:
        peak = case.get("peak_allocated")
        reliefs = ", ".join(case["plan"]["reliefs"]) or "all resident"
        rows.append([_case(case), reliefs, peak / GIB if peak else None, case.get("skipped", "")])
    return Table(
        title="Plans",
        columns=["Case", "Residency", "Peak allocated, GiB", "Not drawn, since"],
        rows=rows,
    )


def _single(cases: list[Run]) -> Table:
    rows: list[list[Cell]] = [
        [_case(case), order, *(round(request["total_ms"], 1) for request in requests[-3:])]
        for case in cases
        for order, requests in case["requests"].items()
    ]
    return Table(
        title="Single pictures of the default size, the last three, ms",
        columns=["Case", "Order", "", "", ""],
        rows=rows,
    )


def _batched(cases: list[Run]) -> Table:
    rows: list[list[Cell]] = [
        [
            _case(case),
            "x".join(map(str, batch["size"])),
            batch["n"],
            round(batch["step_ms"], 2),
            round(batch["picture_ms"], 1),
        ]
        for case in cases
        for batch in case["batches"]
    ]
    return Table(
        title="Pictures in one request",
        columns=["Case", "Size", "n", "A step, ms", "A picture, ms"],
        rows=rows,
    )


def _case(case: Run) -> str:
    return f"{case['budget'] / GIB:.1f} GiB{_compiled(case)}"


def _compiled(case: Run) -> str:
    return ", compiled blocks" if case["compiled"] else ""
