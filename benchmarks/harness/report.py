"""What a benchmark tells: figures with their bounds, tables, plots, and what explains them.

A report is plain data. The page and its plots are made from reports alone, so that whoever has the
result files can make them again without measuring anything.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Say = Callable[[str], None]  # is told what is being done
Cell = str | int | float | None


class Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(Plain):
    """A measured number and the bound that it is held to.

    name: what it is, as a noun phrase. number: of the figure in the list of those to reach; None
    for one that is only told. low, high: a 95 % interval, or the least and the largest where
    `spread` says so. sense: on which side of `bound` it should lie. by_interval: the whole
    interval has to, not the value alone. baseline: what stands beside it.
    """

    name: str
    number: int | None = None
    value: float
    low: float
    high: float
    spread: Literal["95 % interval", "range"] = "95 % interval"
    unit: str = ""
    sense: Literal["at most", "at least"] = "at most"
    bound: float
    by_interval: bool = False
    baseline: str

    @property
    def holds(self) -> bool:
        """Whether it lies on the right side of the bound."""
        if self.sense == "at most":
            return (self.high if self.by_interval else self.value) <= self.bound
        return (self.low if self.by_interval else self.value) >= self.bound


class Table(Plain):
    """Rows of cells under their columns; a float is shown with three significant digits."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]


class Series(Plain):
    """Points of a plot; `low` and `high` are the ends of their error bars."""

    label: str
    x: list[float] | list[str]
    y: list[float]
    low: list[float] | None = None
    high: list[float] | None = None


class Plot(Plain):
    """One picture of the page.

    name: of its file. bars: x are names; stacked puts the series on one another. lines and points:
    x are numbers. diagonal: the line y = x is drawn too.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    kind: Literal["bars", "stacked", "lines", "points"]
    x_label: str
    y_label: str
    series: list[Series] = Field(min_length=1, max_length=10)  # as many colours are there
    log_x: bool = False
    log_y: bool = False
    diagonal: bool = False


class Report(Plain):
    """All that one benchmark tells.

    notes: sentences for the page, in Markdown: what was compared with what, and where a figure is
    not reached, by how much and why. data: the measurements themselves, as JSON.
    """

    figures: list[Figure] = []
    tables: list[Table] = []
    plots: list[Plot] = []
    notes: list[str] = []
    data: dict[str, Any] = {}


class Result(Plain):
    """A report with what it was measured on.

    took_s: how long the benchmark ran. quick: too few rounds for its numbers to mean anything.
    """

    name: str
    title: str
    command: str
    machine: dict[str, Any]
    took_s: float
    quick: bool
    report: Report

    def write(self, path: Path) -> None:
        """Keep it as a JSON file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Result:
    """A result from its file. Raises pydantic.ValidationError for a file of another kind."""
    return TypeAdapter(Result).validate_json(path.read_bytes())
