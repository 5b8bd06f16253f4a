"""What the overhead benchmark tells: latencies over the bare loop, and a served answer by part."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import Figure, Kind, Plot, Report, Series, Table, turns

BARE, ENGINE, SERVED, WORDS, EMPTY = "bare loop", "engine", "served", "served, with words", "empty"
HTTP, REST = "HTTP", "hand-over"
CALLED = {"file": "image encode"}  # where the server's own name of a stage needs its context
PLOTTED = {  # few enough to be told apart; every part is in the table
    HTTP: (HTTP,),
    "before the steps": ("queue", "encode", "start"),
    "steps": ("steps",),
    "decode": ("decode",),
    REST: (REST,),
    "keep, words, file": ("keep", "place", "overlay", "image encode"),
}
ORDER = (HTTP, "queue", "encode", "start", "steps", "decode", REST, "keep", "place", "overlay")


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of picture: seconds of every way, and the served answers' milliseconds by part."""

    name: str
    kind: Kind
    times: turns.Times
    parts: Mapping[str, list[dict[str, float]]]

    def shares(self, way: str) -> dict[str, float]:
        """Median milliseconds of a served way by part; what no part of a request names is its
        hand-over. The medians need not add up to the whole's."""
        answers = self.parts[way]
        medians = {
            CALLED.get(part, part): statistics.median(one[part] for one in answers)
            for part in answers[0]
        }
        http = statistics.median(self.times[EMPTY]) * 1e3
        unnamed = [
            1e3 * seconds - sum(one.values())
            for seconds, one in zip(self.times[way], answers, strict=True)
        ]
        return {HTTP: http, **medians, REST: statistics.median(unnamed) - http}


def report(measured: list[Measured], alone: list[float], difference: int, threads: int) -> Report:
    """alone: seconds of the first case's bare loop before the server was started. difference: of
    engine and server from the bare loop, in grey levels."""
    long, native = _judged(measured)
    beside = statistics.median(long.times[BARE]) / statistics.median(alone)
    return Report(
        figures=[
            _figure("Served latency", long, SERVED, 1.05),
            _figure("Engine latency", long, ENGINE, 1.0),
            _figure("Engine latency", native, ENGINE, 0.95),
        ],
        tables=[_latencies(measured), _parts(measured)],
        plots=[_plot(measured)],
        notes=[
            "One request at a time, a new prompt and seed each, no embedding kept. The bare loop "
            "is diffusers' pipeline of each kind, components handed over, under "
            f"`inference_mode`, with the same dtype and {threads} threads. Engine and server draw "
            f"its pictures: the largest difference was {difference} grey level(s). Each runs in "
            "a process of its own, and draws while the others wait.",
            "Queue to image encode are the server's own timings. HTTP is the round trip of an "
            "empty request through proxy and front; hand-over is what no part names: Ray's calls "
            "from room to room, an upload's decode, and the answer's JSON.",
            "The idle server's processes run beside the bare loop too. Before there was a server "
            f"it took {1 / beside:.2f} times as long.",
        ],
        data={
            "cases": [{"case": m.name, "s": m.times, "ms": dict(m.parts)} for m in measured],
            "bare_alone_s": alone,
            "difference": difference,
        },
    )


def _judged(measured: list[Measured]) -> tuple[Measured, Measured]:
    """Of pictures from a prompt alone, the longest work and the native size."""
    drawn = [one for one in measured if one.kind == "t2i"]
    return drawn[0], drawn[-1]


def _figure(name: str, measured: Measured, way: str, bound: float) -> Figure:
    spread = turns.ratio(measured.times[way], measured.times[BARE])
    return Figure(
        name=f"{name}, {measured.name}",
        number=3,
        value=spread.value,
        low=spread.low,
        high=spread.high,
        bound=bound,
        baseline="the bare diffusers loop",
    )


def _latencies(measured: list[Measured]) -> Table:
    ways = (ENGINE, SERVED, WORDS)
    rows: list[list[Any]] = []
    for one in measured:
        row: list[Any] = [one.name, turns.median(one.times[BARE]).value]
        for way in ways:
            if way not in one.times:
                row += [None, None]
                continue
            spread = turns.ratio(one.times[way], one.times[BARE])
            row += [spread.value, f"{spread.low:.3f} to {spread.high:.3f}"]
        rows.append(row)
    columns = ["Work", "Bare loop, s"]
    for way in ways:
        columns += [f"{way.capitalize()}, ratio", "95 % interval"]
    return Table(title="Latency over the bare loop", columns=columns, rows=rows)


def _parts(measured: list[Measured]) -> Table:
    works = [
        (f"{one.name}, with words" if way == WORDS else one.name, one.shares(way))
        for one in measured
        for way in one.parts
    ]
    return Table(
        title="A served answer by part, ms",
        columns=["Work", *_names(works)],
        rows=[[name, *(shares.get(part) for part in _names(works))] for name, shares in works],
    )


def _plot(measured: list[Measured]) -> Plot:
    works = []
    for one in measured:
        whole = statistics.median(one.times[BARE]) * 10  # ms to per cent
        works.append((one.name, {p: ms / whole for p, ms in one.shares(SERVED).items()}))
    return Plot(
        name="overhead_parts",
        title="A served answer by part, the bare loop's time being 100",
        kind="stacked",
        x_label="",
        y_label="% of the bare loop",
        series=[
            Series(
                label=label,
                x=[name for name, _ in works],
                y=[sum(shares.get(part, 0.0) for part in parts) for _, shares in works],
            )
            for label, parts in PLOTTED.items()
        ],
    )


def _names(works: list[tuple[str, dict[str, float]]]) -> list[str]:
    """Every part that any of them has, in the order of a request's way."""
    every = dict.fromkeys(part for _, shares in works for part in shares)
    return [*(part for part in ORDER if part in every), *(p for p in every if p not in ORDER)]
