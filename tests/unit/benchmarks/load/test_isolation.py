"""Pictures drawn on one core, finished on another: all come out, with words or without."""

import os

import pytest

from benchmarks.load import isolation


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="it takes two cores")
def test_what_a_run_tells() -> None:
    before = os.sched_getaffinity(0)

    report = isolation.measure(quick=True, say=print)

    (figure,) = report.figures
    times = report.data["seconds"]
    assert figure.number == 6
    assert figure.value == pytest.approx(times["without words"][0] / times["with words"][0])
    assert [row[0] for row in report.tables[0].rows] == ["without words", "with words"]
    assert all(row[1] > 0 for row in report.tables[0].rows)
    assert os.sched_getaffinity(0) == before
