"""What the servers under load did, as a report."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.harness import Figure, Plot, Report, Series, Table, Tally

Server = Literal["Signboard", "lock", "@serve.batch"]
SIGNBOARD: Server = "Signboard"
LOCK: Server = "lock"
BATCH: Server = "@serve.batch"
Turns = Mapping[tuple[int, Server], list[Tally]]
"""By side and server: one tally for each turn, those of one turn being neighbours in time."""

NUMBER = 4
LEAST: Mapping[Server, Mapping[int, float]] = {
    LOCK: {256: 1.3, 128: 1.8},
    BATCH: {256: 1.0, 128: 1.0},
}
LIMIT_S = 3.0  # within which an answer is in time

COLUMNS = ["images/s", "p50 s", "p95 s", "p99 s", "in time", "429", "errors"]


@dataclass(frozen=True, slots=True)
class Open:
    """One run of random arrivals. idle: the device's share of the time, of Signboard."""

    server: Server
    tally: Tally
    idle: float | None


def report(turns: Turns, opened: Sequence[Open], rate: float, idle_cores: float) -> Report:
    """All of it. rate: arrivals a second. idle_cores: busy with the servers while none has work."""
    return Report(
        figures=figures(turns),
        tables=[closed_table(turns), open_table(opened, rate)],
        plots=[
            bars(turns, "load_throughput", "Pictures a second with 16 clients", "images/s"),
            bars(turns, "load_p95", "Slowest answers with 16 clients", "p95, s"),
        ],
        notes=notes(idle_cores),
        data={
            "closed": [
                {
                    "side": side,
                    "server": name,
                    "turns": [tally.figures(LIMIT_S) for tally in tallies],
                }
                for (side, name), tallies in turns.items()
            ],
            "open": [
                {"server": one.server, "rate": rate, "idle": one.idle, **one.tally.figures(LIMIT_S)}
                for one in opened
            ],
            "idle_cores": idle_cores,
        },
    )


def figures(turns: Turns) -> list[Figure]:
    """Signboard beside each other server, at each size."""
    held: list[Figure] = []
    for side, name in turns:
        if name == SIGNBOARD:
            continue
        own, other = turns[side, SIGNBOARD], turns[side, name]
        own_slow, other_slow = [seconds(one) for one in own], [seconds(one) for one in other]
        size = f"{side}x{side}"
        held.append(
            figure(
                f"Pictures a second, Signboard over {name}, {size}",
                [tally.images_s for tally in own],
                [tally.images_s for tally in other],
                "at least",
                LEAST[name][side],
                name,
            )
        )
        held.append(
            figure(
                f"95th percentile of latency, Signboard over {name}, {size}",
                own_slow,
                other_slow,
                "at most",
                1.0,
                name,
            )
        )
    return held


def figure(
    name: str,
    own: Sequence[float],
    other: Sequence[float],
    sense: Literal["at most", "at least"],
    bound: float,
    baseline: Server,
) -> Figure:
    """The ratio of means; its range over the turns."""
    each = [a / b for a, b in zip(own, other, strict=True)]
    return Figure(
        name=name,
        number=NUMBER,
        value=statistics.mean(own) / statistics.mean(other),
        low=min(each),
        high=max(each),
        spread="range",
        sense=sense,
        bound=bound,
        baseline=f"{baseline} server, same model, threads and clients",
    )


def seconds(tally: Tally) -> float:
    """The 95th percentile; a server without a single answer has none to compare."""
    slow = tally.percentile(0.95)
    if slow is None:
        raise RuntimeError(f"no picture came: {dict(tally.errors) or 'the turn was too short'}")
    return slow


def closed_table(turns: Turns) -> Table:
    """Every turn's answers together."""
    rows = []
    for (side, name), tallies in turns.items():
        answers = tuple(one for tally in tallies for one in tally.answers)
        whole = Tally(answers, sum(tally.seconds for tally in tallies))
        rows.append([f"{side}x{side}", name, *cells(whole)])
    return Table(
        title="16 clients, each asking anew once it is answered",
        columns=["size", "server", *COLUMNS],
        rows=rows,
    )


def open_table(opened: Sequence[Open], rate: float) -> Table:
    """By server and priority."""
    rows = []
    for one in opened:
        parts = {"interactive": one.tally.of(bulk=False), "bulk": one.tally.of(bulk=True)}
        for priority, tally in parts.items():
            if tally.answers:
                first = tally.figures(LIMIT_S)["first_preview_p50_s"]
                rows.append([one.server, priority, *cells(tally), first, one.idle])
    return Table(
        title=f"Random arrivals, {rate:.2f} a second, sizes and kinds in turn",
        columns=["server", "priority", *COLUMNS, "first preview p50 s", "device idle"],
        rows=rows,
    )


def cells(tally: Tally) -> list[str | int | float | None]:
    """Of `COLUMNS`."""
    load = tally.figures(LIMIT_S)
    times = (load["images_per_s"], load["p50_s"], load["p95_s"], load["p99_s"])
    return [*times, load["in_time"], load["busy_429"], sum(load["errors"].values())]


def bars(turns: Turns, name: str, title: str, label: str) -> Plot:
    """One series a server, its range over the turns."""
    sides = list(dict.fromkeys(side for side, _ in turns))
    series = []
    for server in dict.fromkeys(server for _, server in turns):
        values = [
            [tally.images_s if name == "load_throughput" else seconds(tally) for tally in tallies]
            for tallies in (turns[side, server] for side in sides)
        ]
        series.append(
            Series(
                label=server,
                x=[f"{side}x{side}" for side in sides],
                y=[statistics.mean(each) for each in values],
                low=[min(each) for each in values],
                high=[max(each) for each in values],
            )
        )
    return Plot(name=name, title=title, kind="bars", x_label="size", y_label=label, series=series)


def notes(idle_cores: float) -> list[str]:
    """What was compared with what."""
    return [
        "The embedded model, 8 steps, two threads each; pictures from prompts, edits and edits "
        "with a mask in turn; answers are PNG at level 1 in base64. Every request has a seed of "
        "its own and Signboard's caches are off, so nothing is answered from before.",
        "*lock*: FastAPI, three diffusers pipelines that share their components, one "
        "`threading.Lock`. *@serve.batch*: one Ray Serve replica that takes up to 16 waiting "
        "requests at once and calls a pipeline once for those of equal kind, size and steps.",
        "Pictures a second are all answers of a turn over the time from its first request to its "
        "last answer, so that no window's edge cuts through a batch; 95th percentiles are of the "
        "same answers.",
        "All servers are up all the time and take turns. While none has work, they and the rest "
        f"of the machine keep {idle_cores:.2f} cores busy, which slows all three alike.",
        f"In time: answered within {LIMIT_S:g} s. The open loop comes at 70 % of what "
        "Signboard gave with 16 clients; a quarter of its requests are bulk work, which waits for "
        "the others; its answers are streamed with one preview. The lock server knows neither.",
    ]
