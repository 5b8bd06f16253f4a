"""What a run on a GPU tells: its times beside those that others have published."""

import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.report import Cell, Figure, Report, Table

PUBLISHED_MS = 906.0  # SGLang Diffusion, H100, 1024x1024, 9 steps
BASELINE = "906 ms: SGLang Diffusion on an H100, 9 steps, as published"
GIB = 2**30

Run = Mapping[str, Any]


def told(run: Run) -> Report:
    """The report of a run, as `gpu.run` answers it; latency counts on the largest budget."""
    drawn = [case for case in run["cases"] if "requests" in case]
    load, sleep = run["load"], run["sleep"]
    notes = [
        f"{run['device']['name']}; {run['model']}, random weights of the real shapes, "
        f"{load['bytes'] / GIB:.2f} GiB, loaded in {load['seconds']:.1f} s "
        f"({load['gb_per_s']:.1f} GB/s, page cache warm); to sleep in {sleep['sleep_s']:.2f} s, "
        f"awake in {sleep['wake_s']:.2f} s."
    ]
    return Report(
        figures=[_latency(case) for case in drawn if case["budget"] == drawn[-1]["budget"]],
        tables=[_plans(run["cases"]), _single(drawn), _batched(drawn)],
        notes=notes,
        data=dict(run),
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
