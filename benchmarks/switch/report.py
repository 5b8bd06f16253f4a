"""What the changes that were timed tell: figures, tables and plots."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.harness import Cell, Figure, Plot, Report, Series, Spread, Table, turns
from benchmarks.switch.changes import PAIRS, Changes

RELOAD = "Unload and reload"
SEPARATE = "Separate pipelines"
HANDED = "Components handed over"
OURS = "Signboard"
HTTP = "Signboard over HTTP"

RATIO_BOUND = 1.05
SHARE_BOUND = 1.0  # percent of what reloading adds

COLUMNS = [
    "Way",
    "Pairs",
    "Same kind, ms",
    "After another kind, ms",
    "A change adds, ms",
    "Its 95 % interval",
    "Ratio",
    "Its 95 % interval ",
]
NOTES = [
    "Every kind is asked for twice running: the first request comes after another kind, the second "
    "after its own. The two are a pair: the same size, steps and words at full strength, with "
    f"another seed. A round has {PAIRS} pairs, one for each change from one kind to another; every "
    "other round runs backwards. Ratio and added time are Hodges-Lehmann estimates over the "
    "pairs. All ways take turns, each in a process of its own with two threads; the server is "
    "measured apart.",
    "Unloading drops the pipeline, collects garbage and loads the next one by `from_pretrained`, "
    "with the files in the page cache. The 1 GB checkpoint runs in the dtype it is stored in: its "
    "files are mapped and not read, the cheapest reload there is. From a disk, onto a device, or "
    "in another dtype a reload takes longer, and Signboard's change does not.",
    "diffusers' pipelines pad prompts to 64 tokens here, which is what the profiles read at most, "
    "and not to their default of 512, which would slow every request of theirs. Signboard's "
    "embedding cache is off, and every seed is fresh, so that every request is drawn.",
    "Signboard holds one set of weights and no pipeline: a change of kind changes only what a "
    "row starts from, so nothing has to be switched. Sleeping puts the weights into host memory; "
    "on a CPU that is a copy, which waking makes once more.",
]


def report(
    kinds: Mapping[str, Mapping[str, Changes]],
    styles: Changes,
    sleeps: Mapping[str, Mapping[str, list[float]]],
) -> Report:
    """kinds: changes of each way, by model, the small one first. sleeps: seconds, by model."""
    (small_name, small), (large_name, large) = kinds.items()
    return Report(
        figures=[
            _ratio("in process", small[OURS]),
            _ratio("over HTTP", small[HTTP]),
            share(large[OURS].added, large[RELOAD].added),
        ],
        tables=[
            *(_table(f"{model}: changes of kind", ways) for model, ways in kinds.items()),
            _table("Embedded model: changes of style (none, night, ink)", {OURS: styles}),
            _slept(sleeps),
        ],
        plots=[
            _plot("switch_gigabyte", large_name, large),
            _plot("switch_embedded", small_name, small),
        ],
        notes=[*NOTES, _resolution(large)],
        data=_data(kinds, styles, sleeps),
    )


def share(ours: Spread, reload: Spread) -> Figure:
    """Of the time that reloading adds, how much a change adds; the interval is of both."""

    def percent(added: float) -> list[float]:
        return [100 * added / end for end in (reload.low, reload.high)]

    return Figure(
        name="What a change of kind adds in Signboard, as a share of what unload-and-reload adds "
        "(1 GB checkpoint, 1 step)",
        number=2,
        value=100 * ours.value / reload.value,
        low=min(percent(ours.low)),
        high=max(percent(ours.high)),
        unit="%",
        bound=SHARE_BOUND,
        baseline=f"unload and reload, which adds {1e3 * reload.value:.0f} ms with its files in "
        "the page cache",
    )


def _resolution(ways: Mapping[str, Changes]) -> str:
    """How near to nothing the large model's figure can be told."""
    added, reload = ways[OURS].added, ways[RELOAD].added.value
    differences = [c - s for s, c in zip(ways[OURS].same, ways[OURS].changed, strict=True)]
    apart = turns.median([abs(one - added.value) for one in differences]).value
    return (
        f"On the 1 GB checkpoint half of the pairs differ by more than {1e3 * apart:.0f} ms from "
        "the estimate, in either direction: every request reads all the weights, and the "
        f"machine's memory is not equally fast all the time. Over {len(differences)} pairs the "
        f"time that a change adds is {_ms(added.value)} ms, with an interval up to "
        f"{_ms(added.high)} ms; 1 % of what reloading adds is {_ms(reload / 100)} ms. The figure "
        "is judged by the estimate; where the interval's upper end lies above the bound, that is "
        "as far as so many pairs can tell it from 0."
    )


def _ratio(where: str, changes: Changes) -> Figure:
    ratio = changes.ratio
    return Figure(
        name=f"A request after another kind over one after the same, {where} "
        f"({len(changes.same)} pairs, embedded model)",
        number=2,
        value=ratio.value,
        low=ratio.low,
        high=ratio.high,
        bound=RATIO_BOUND,
        by_interval=True,
        baseline="the same kind of request after one of its kind",
    )


def _table(title: str, ways: Mapping[str, Changes]) -> Table:
    rows: list[list[Cell]] = []
    for name, changes in ways.items():
        added, ratio = changes.added, changes.ratio
        rows.append(
            [
                name,
                len(changes.same),
                _ms(turns.median(changes.same).value),
                _ms(turns.median(changes.changed).value),
                _ms(added.value),
                f"{_ms(added.low)} to {_ms(added.high)}",
                round(ratio.value, 3),
                f"{ratio.low:.3f} to {ratio.high:.3f}",
            ]
        )
    return Table(title=title, columns=COLUMNS, rows=rows)


def _slept(sleeps: Mapping[str, Mapping[str, list[float]]]) -> Table:
    rows: list[list[Cell]] = []
    for model, times in sleeps.items():
        medians = {name: turns.median(seconds).value for name, seconds in times.items()}
        added = medians["asleep"] - medians["awake"]
        row = (len(times["awake"]), _ms(medians["awake"]), _ms(medians["asleep"]), _ms(added))
        rows.append([model, *row])
    columns = ["Model", "Requests", "Awake, ms", "First after sleep, ms", "Waking adds, ms"]
    return Table(title="The first request after sleep", columns=columns, rows=rows)


def _plot(name: str, model: str, ways: Mapping[str, Changes]) -> Plot:
    def series(label: str, of: Mapping[str, list[float]]) -> Series:
        medians = [turns.median(times) for times in of.values()]
        return Series(
            label=label,
            x=[way.replace(" ", "\n", 1) for way in of],
            y=[1e3 * median.value for median in medians],
            low=[1e3 * median.low for median in medians],
            high=[1e3 * median.high for median in medians],
        )

    return Plot(
        name=name,
        title=f"The first request after a change of kind ({model})",
        kind="bars",
        x_label="",
        y_label="milliseconds",
        series=[
            series("same kind as before", {way: one.same for way, one in ways.items()}),
            series("after another kind", {way: one.changed for way, one in ways.items()}),
        ],
    )


def _data(
    kinds: Mapping[str, Mapping[str, Changes]],
    styles: Changes,
    sleeps: Mapping[str, Mapping[str, list[float]]],
) -> dict[str, Any]:
    """All seconds, pair by pair."""
    return {
        "kinds_s": {
            m: {way: asdict(one) for way, one in ways.items()} for m, ways in kinds.items()
        },
        "styles_s": asdict(styles),
        "sleeps_s": sleeps,
    }


def _ms(seconds: float) -> str:
    """Milliseconds to a tenth; never a minus before nothing."""
    return f"{round(1e3 * seconds, 1) + 0.0:.1f}"
