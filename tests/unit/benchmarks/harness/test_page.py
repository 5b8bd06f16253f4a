"""A result as a file, its figures judged, and the page made from it."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks.harness import page
from benchmarks.harness.machine import this_machine
from benchmarks.harness.report import Figure, Plot, Report, Result, Series, Table, read

FIGURE = Figure(
    name="served over bare",
    number=3,
    value=1.04,
    low=1.03,
    high=1.06,
    bound=1.05,
    baseline="a bare loop",
)
SERIES = [
    Series(label="ours", x=[1, 2, 4], y=[1, 1.9, 3.5], low=[0.9, 1.8, 3], high=[1.1, 2.0, 4]),
    Series(label="theirs", x=[1, 2, 4], y=[1, 1.1, 1.1]),
]
NAMED = [s.model_copy(update={"x": ["one", "two", "four"]}) for s in SERIES]


def plot(name: str, kind: str, series: list[Series], **more: bool) -> Plot:
    told = {"name": name, "title": name, "kind": kind, "x_label": "x", "y_label": "y"}
    return Plot.model_validate({**told, "series": series, **more})


PLOTS = [
    plot("bars", "bars", NAMED, log_y=True),
    plot("stacked", "stacked", [NAMED[0]] * 10),
    plot("lines", "lines", SERIES, log_x=True),
    plot("points", "points", SERIES, diagonal=True, log_x=True, log_y=True),
]


def result(**report: object) -> Result:
    told = {"name": "one", "title": "The one", "command": "signboard bench one"}
    made = {"machine": this_machine(), "took_s": 60.0, "quick": False}
    return Result.model_validate({**told, **made, "report": Report.model_validate(report)})


def test_what_is_not_reached_is_named_with_its_distance(tmp_path: Path) -> None:
    missed = FIGURE.model_copy(update={"name": "the other", "value": 2.1})
    told = tmp_path / "benchmarks.md"

    page.write([result(figures=[FIGURE, missed])], told)

    lines = told.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("- ")] == [
        "- the other: 2.100 where at most 1.050 is wanted, 100% off"
    ]


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"value": 1.051}, False),
        ({"by_interval": True}, False),
        ({"by_interval": True, "high": 1.05}, True),
        ({"sense": "at least"}, False),
        ({"sense": "at least", "bound": 1.03}, True),
        ({"sense": "at least", "bound": 1.035, "by_interval": True}, False),
    ],
)
def test_a_figure_knows_whether_it_holds(changes: dict[str, object], holds: bool) -> None:
    assert FIGURE.model_copy(update=changes).holds is holds


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    told = result(figures=[FIGURE], plots=PLOTS, data={"times": [1.0, 2.0]})

    told.write(tmp_path / "results" / "one.json")

    assert read(tmp_path / "results" / "one.json") == told


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"machine": {}, "runs": []}')

    with pytest.raises(ValidationError, match="report"):
        read(tmp_path / "old.json")


def test_the_page_shows_everything_once(tmp_path: Path) -> None:
    tables = [Table(title="Sizes", columns=["way", "bytes", "ratio"], rows=[["a", 12345, 0.33333]])]
    missed = FIGURE.model_copy(update={"name": "missed", "number": None, "bound": 1.0})
    told = result(figures=[missed, FIGURE], tables=tables, plots=PLOTS, notes=["A note."])

    page.write([told], tmp_path / "benchmarks.md")

    text = (tmp_path / "benchmarks.md").read_text()
    first, second = (
        "| 3 | served over bare | 1.040 | 1.030 to 1.060 | at most 1.050 | yes | a bare loop |",
        "|  | missed | 1.040 | 1.030 to 1.060 | at most 1.000 | **no** | a bare loop |",
    )
    assert text.index(first) < text.index(second)
    assert "| a | 12,345 | 0.333 |" in text
    assert text.count("A note.") == text.count("## The one") == 1
    assert "`signboard bench one`, 1.0 minutes." in text
    for one in PLOTS:
        assert f"![{one.title}](images/benchmarks/{one.name}.svg)" in text


def test_plots_are_drawings_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        page.write([result(plots=PLOTS)], tmp_path / folder / "page.md")
    first, second = (sorted((tmp_path / folder).rglob("*.svg")) for folder in ("a", "b"))

    assert [path.stem for path in first] == sorted(one.name for one in PLOTS)
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert ElementTree.parse(one).getroot().tag.endswith("svg")


def test_a_plot_that_is_made_no_more_goes(tmp_path: Path) -> None:
    page.write([result(plots=PLOTS)], tmp_path / "page.md")
    page.write([result(plots=PLOTS[:1])], tmp_path / "page.md")

    assert [path.stem for path in tmp_path.rglob("*.svg")] == ["bars"]
