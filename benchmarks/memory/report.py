"""What the footprints tell: figures, tables and plots."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from benchmarks.harness import Cell, Figure, Plot, Report, Series, Table
from benchmarks.memory.footprint import SIGNBOARD, WITH_STYLES, Footprint

MB, GB = 10**6, 10**9
THIRD = 0.3334
REAL = "Z-Image-Turbo"
TITLES = {
    "one": "One pipeline, one kind",
    "two": "Two separate pipelines",
    "three": "Three separate pipelines",
    "from_pipe": "from_pipe",
    "handed_over": "Components handed over",
    SIGNBOARD: "Signboard",
    WITH_STYLES: "Signboard with its two styles",
}
BARS = {
    "three": "Three\npipelines",
    "two": "Two\npipelines",
    "from_pipe": "from_pipe",
    "handed_over": "Components\nhanded over",
    SIGNBOARD: "Signboard",
}
PARTS = {"transformer": "transformer", "text_encoder": "text encoder", "vae": "VAE"}

NOTES = [
    "Weights held: bytes of all parameters and buffers, each storage counted once however many "
    "modules or pipelines have it. Every way ran in a process of its own and drew one picture of "
    "128x128 of each kind that it holds. Signboard holds less than one set because the text "
    "encoder's last layer, which nothing reads, is let go. Without styles it holds what the "
    "pipelines hold; with the two that the embedded profile brings it serves them too.",
    "Resident and proportional set sizes are what the process takes above itself before a model is "
    "loaded (Python and the libraries), weights, working memory and what the allocator keeps. They "
    "come from `/proc/self/smaps_rollup`, read every 50 ms. The process is a fork of one that has "
    "the libraries, and maps their pages as it uses them: some 20 to 30 MB of every resident size "
    "and 10 of every proportional one. A checkpoint that runs in the dtype it is stored in is "
    "mapped from its files, by diffusers as by Signboard: its pages are the page cache's. Three "
    "mappings of one file are three times resident but once in memory, and the proportional size "
    "divides by them. So on a CPU separate pipelines in the stored dtype share pages after all; in "
    "another dtype (the embedded model: stored in bfloat16, run in float32), or on a device, each "
    "has its own copy.",
]
FILES = {"Embedded model": "embedded", "1 GB checkpoint": "gigabyte", REAL: "real_size"}


@dataclass(frozen=True, slots=True)
class OnPaper:
    """Bytes of a model that is not here.

    held: by component, as Signboard loads it. dropped: of the text encoder, which pipelines hold
    besides. residency: of its plan under the budget.
    """

    name: str
    dtype: str
    held: dict[str, int]
    dropped: int
    budget: int
    residency: str

    def of(self, way: str) -> dict[str, int]:
        """What a way would hold, by component."""
        if way == SIGNBOARD:
            return self.held
        one = {**self.held, "text_encoder": self.held["text_encoder"] + self.dropped}
        sets = {"three": 3, "two": 2}.get(way, 1)
        return {name: sets * size for name, size in one.items()}


def report(taken: Mapping[str, Mapping[str, Footprint]], paper: OnPaper) -> Report:
    """taken: footprints by model and way; `one`, `three` and Signboard's are among them."""
    held_to = [figure for model, ways in taken.items() for figure in figures(model, ways)]
    held = {model: {way: one.held for way, one in ways.items()} for model, ways in taken.items()}
    whole = f"{REAL}, {paper.dtype}, on paper"
    held[whole] = {way: paper.of(way) for way in BARS}
    return Report(
        figures=held_to,
        tables=[*(table(model, ways) for model, ways in taken.items()), _paper(whole, paper)],
        plots=[_plot(model, ways) for model, ways in reversed(held.items())],
        notes=[*NOTES, _planned(paper)],
        data={
            "footprints": {
                model: {way: asdict(one) for way, one in ways.items()}
                for model, ways in taken.items()
            },
            "on_paper": asdict(paper),
        },
    )


def figures(model: str, ways: Mapping[str, Footprint]) -> list[Figure]:
    def figure(name: str, baseline: str, bound: float) -> Figure:
        value = ways[SIGNBOARD].held_bytes / ways[baseline].held_bytes
        against = f"{TITLES[baseline].lower()}: {ways[baseline].held_bytes / MB:,.1f} MB"
        return Figure(
            name=f"Weights held for three kinds, over {name} ({model})",
            number=1,
            value=value,
            low=value,
            high=value,
            spread="range",
            bound=bound,
            baseline=against,
        )

    return [
        figure("three separate pipelines", "three", THIRD),
        figure("one set in its running dtype", "one", 1.0),
    ]


def table(model: str, ways: Mapping[str, Footprint]) -> Table:
    """In MB, and in sets of what one pipeline holds."""
    rows: list[list[Cell]] = []
    for way, one in ways.items():
        sets = one.held_bytes / ways["one"].held_bytes
        row: list[Cell] = [TITLES[way], _mb(one.held_bytes), f"{sets:.2f}", _mb(one.live)]
        row += [_mb(one.after[kind] - one.before[kind]) for kind in ("resident", "proportional")]
        row += [_mb(one.peak[kind] - one.before[kind]) for kind in ("resident", "proportional")]
        if one.device is not None:
            row += [_mb(one.device[name]) for name in ("allocated", "reserved", "peak")]
        rows.append(row)
    columns = ["Way", "Weights held", "In sets", "All tensors alive"]
    columns += ["Resident", "Proportional", "Resident, peak", "Proportional, peak"]
    if ways["one"].device is not None:
        columns += ["Device, allocated", "Device, reserved", "Device, peak"]
    return Table(title=f"{model}: memory in MB", columns=columns, rows=rows)


def _paper(title: str, paper: OnPaper) -> Table:
    rows: list[list[Cell]] = []
    for way in BARS:
        held = paper.of(way)
        parts = [f"{held[name] / GB:.2f}" for name in PARTS]
        rows.append([TITLES[way], *parts, f"{sum(held.values()) / GB:.2f}"])
    columns = ["Way", *PARTS.values(), "Weights held"]
    return Table(title=f"{title}: weights in GB", columns=columns, rows=rows)


def _plot(model: str, ways: Mapping[str, Mapping[str, int]]) -> Plot:
    """Weights by component, for the ways that are there."""
    bars = {way: title for way, title in BARS.items() if way in ways}
    unit, name = (GB, "GB") if sum(ways["three"].values()) > GB else (MB, "MB")
    first = model.partition(",")[0]
    return Plot(
        name=f"memory_{FILES[first]}",
        title=f"Weights for three kinds ({model})",
        kind="stacked",
        x_label="",
        y_label=name,
        series=[
            Series(label=title, x=[*bars.values()], y=[ways[way][part] / unit for way in bars])
            for part, title in PARTS.items()
        ],
    )


def _planned(paper: OnPaper) -> str:
    three, two = (sum(paper.of(way).values()) / GB for way in ("three", "two"))
    return (
        f"{REAL} at its real size is computed from the architecture that `{paper.name}` names: "
        f"three sets are {three:.1f} GB of weights and two are {two:.1f} GB, before any picture is "
        f"drawn. `signboard plan {paper.name}` fits Signboard's one set with its pictures into "
        f"{paper.budget / GB:.1f} GB ({paper.residency})."
    )


def _mb(size: int) -> str:
    return f"{size / MB:,.1f}"
