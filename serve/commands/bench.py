"""`signboard bench`: benchmarks one after the other, and the page of what they told."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError
from rich.table import Table

from benchmarks.harness import Result, read
from benchmarks.suite import BENCHMARKS, BenchmarkFailed

RESULTS = Path("benchmarks", "results")
PAGE = Path("docs", "benchmarks.md")


class BenchFailed(RuntimeError):
    """The benchmarks cannot be run, or one failed; the message says why."""


@contextmanager
def folder(out: Path | None, quick: bool) -> Iterator[Path]:
    """Where results and page go: `out`, or else here, or for `quick` where it does no harm."""
    if out is not None or not quick:
        yield out or Path()
        return
    with tempfile.TemporaryDirectory(prefix="signboard-bench-") as thrown_away:
        yield Path(thrown_away)


def run(
    names: Sequence[str], quick: bool, into: Path, say: Callable[[str], None]
) -> Iterator[Result]:
    """The results, one by one, kept as files. Raises BenchFailed."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        known = ", ".join(BENCHMARKS)
        raise BenchFailed(f"there is no benchmark {unknown[0]!r}; there are {known}")
    for name in names or [name for name, one in BENCHMARKS.items() if one.possible(quick)]:
        if not BENCHMARKS[name].possible(quick):
            raise BenchFailed(f"{name}: this machine has no CUDA device; --quick needs none")
        say(name)

        def told(line: str, name: str = name) -> None:
            say(f"{name}: {line}")

        try:
            yield BENCHMARKS[name].run(quick, into / RESULTS / f"{name}.json", told)
        except BenchmarkFailed as error:
            raise BenchFailed(str(error)) from None


def write_page(into: Path) -> Path:
    """Make the page from every result in the folder; its path. Raises BenchFailed."""
    try:
        from benchmarks.harness import page
    except ModuleNotFoundError as error:
        raise BenchFailed(f"the plots need {error.name}: pip install 'signboard[bench]'") from None
    files = {name: into / RESULTS / f"{name}.json" for name in BENCHMARKS}
    try:
        results = [read(file) for file in files.values() if file.is_file()]
    except ValidationError as error:
        raise BenchFailed(f"a result is of another version, measure it anew: {error}") from None
    page.write(results, into / PAGE)
    return into / PAGE


def table(result: Result) -> Table:
    """A result's figures, as the terminal shows them."""
    said = " (quick: the numbers mean nothing)" if result.quick else ""
    shown = Table(title=f"{result.title}, {result.took_s:.0f} s{said}", title_justify="left")
    for column in ("figure", "measured", "spread", "bound", "held"):
        shown.add_column(column)
    for figure in result.report.figures:
        shown.add_row(
            figure.name,
            f"{figure.value:.4g} {figure.unit}",
            f"{figure.low:.4g} to {figure.high:.4g}",
            f"{figure.sense} {figure.bound:.4g}",
            "[green]yes[/]" if figure.holds else "[red]no[/]",
        )
    return shown
