"""docs/benchmarks.md and its plots, made from results alone."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.harness import plots
from benchmarks.harness.report import Cell, Figure, Result, Table

PLOTS = Path("images", "benchmarks")  # beside the page
FIGURES = ["", "Figure", "Measured", "Spread", "Bound", "Held", "Against"]


def write(results: Sequence[Result], page: Path) -> None:
    """Write the page and its plots; results in the order in which they are shown."""
    folder = page.parent / PLOTS
    drawn = {folder / f"{p.name}.svg": p for result in results for p in result.report.plots}
    for path, plot in drawn.items():
        plots.draw(plot, path)
    for old in set(folder.glob("*.svg")) - set(drawn):
        old.unlink()
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n\n".join(_page(results)) + "\n", encoding="utf-8")


def _page(results: Sequence[Result]) -> Iterable[str]:
    yield "# Benchmarks"
    yield (
        "Made by `signboard bench`, which runs every benchmark below and writes this page from "
        "what it measured (`benchmarks/results/`). `signboard bench NAME` runs one anew. What is "
        "compared ran in turn in the same run. Ratios are made within rounds; told are their "
        "Hodges-Lehmann estimate, the median of the means of all pairs of them (of logarithms), "
        "and its 95 % interval, unless a range is named: the machine has two speeds, and a plain "
        "median jumps from one to the other."
    )
    yield from _machines(results)
    yield "## Figures"
    yield _markdown(FIGURES, [_row(figure) for result in results for figure in _sorted(result)])
    yield from _missed([figure for result in results for figure in _sorted(result)])
    for result in results:
        yield f"## {result.title}"
        yield f"`{result.command}`, {result.took_s / 60:.1f} minutes."
        yield from result.report.notes
        for plot in result.report.plots:
            yield f"![{plot.title}]({(PLOTS / plot.name).as_posix()}.svg)"
        for table in result.report.tables:
            yield f"**{table.title}**"
            yield _markdown(table.columns, _cells(table))


def _machines(results: Sequence[Result]) -> Iterable[str]:
    """What they ran on; of several machines, each with the names of its results."""
    by_machine: dict[str, list[str]] = {}
    for result in results:
        made_on = result.machine
        packages = ", ".join(f"{name} {number}" for name, number in made_on["packages"].items())
        machine = (
            f"{made_on['processor']}, {made_on['cores']} cores, accelerator: {made_on['device']}; "
            f"Python {made_on['python']}, {packages}"
        )
        by_machine.setdefault(machine, []).append(result.name)
    for machine, names in by_machine.items():
        yield (
            f"Measured on: {machine}."
            if len(by_machine) == 1
            else (f"Measured on: {machine} ({', '.join(names)}).")
        )


def _sorted(result: Result) -> list[Figure]:
    return sorted(result.report.figures, key=lambda figure: figure.number or 99)


def _missed(figures: Iterable[Figure]) -> Iterable[str]:
    """By how much each figure that does not hold lies beyond its bound, and where it says why."""
    missed = [
        f"- {one.name}: {_cell(one.value)} where {one.sense} {_cell(one.bound)} is wanted, "
        f"{abs(one.value / one.bound - 1):.0%} off"
        for one in figures
        if not one.holds
    ]
    if missed:
        lines = "\n".join(missed)
        yield f"Not reached; [performance.md](performance.md) says why:\n\n{lines}"


def _row(figure: Figure) -> list[str]:
    unit = f" {figure.unit}" if figure.unit else ""
    spread = f"{_cell(figure.low)} to {_cell(figure.high)}"
    if figure.spread == "range":
        spread += " (range)"
    bound = f"{figure.sense} {_cell(figure.bound)}{unit}"
    if figure.by_interval:
        bound += ", the whole interval"
    held = "yes" if figure.holds else "**no**"
    number = "" if figure.number is None else str(figure.number)
    value = f"{_cell(figure.value)}{unit}"
    return [number, figure.name, value, spread, bound, held, figure.baseline]


def _cells(table: Table) -> list[list[str]]:
    return [[_cell(cell) for cell in row] for row in table.rows]


def _cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    return f"{cell:,}" if isinstance(cell, int) else _number(cell)


def _number(value: float) -> str:
    """Three significant digits, and three places behind 1 to 10, where the ratios are."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if 1 <= abs(value) < 10 else f"{value:.3g}"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
