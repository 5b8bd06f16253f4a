"""What the load benchmark makes of its turns."""

import pytest

from benchmarks.harness.tally import Answer, Tally
from benchmarks.load.report import BATCH, LOCK, SIGNBOARD, Open, report
from benchmarks.load.traffic import capacity


def tally(pictures: int, seconds: float, of: float = 10.0) -> Tally:
    return Tally(tuple(Answer(0.0, seconds, bulk=i % 2 == 0) for i in range(pictures)), of)


def test_figures_are_ratios_of_means_with_the_range_over_turns() -> None:
    turns = {
        (128, SIGNBOARD): [tally(40, 1.0), tally(60, 1.0)],
        (128, LOCK): [tally(20, 2.0), tally(20, 4.0)],
        (128, BATCH): [tally(60, 0.5), tally(60, 0.5)],
    }
    opened = [Open(SIGNBOARD, tally(8, 4.0), 0.3), Open(LOCK, tally(8, 2.0), None)]
    told = report(turns, opened, rate=3.5, idle_cores=0.2)
    rate, slow, rate_batch, slow_batch = told.figures
    assert (rate.value, rate.low, rate.high) == (2.5, 2.0, 3.0)
    assert rate.bound == 1.8
    assert rate.holds
    assert slow.value == pytest.approx(1 / 3)
    assert slow.holds
    assert not rate_batch.holds
    assert not slow_batch.holds
    assert {figure.number for figure in told.figures} == {4}
    closed, random = told.tables
    assert closed.rows[0][:3] == ["128x128", SIGNBOARD, 5.0]
    assert [row[:2] for row in random.rows[:2]] == [
        [SIGNBOARD, "interactive"],
        [SIGNBOARD, "bulk"],
    ]
    assert random.rows[0][random.columns.index("in time")] == 0.0
    assert all(len(row) == len(table.columns) for table in told.tables for row in table.rows)


def test_a_server_that_answered_nothing_is_no_baseline() -> None:
    turns = {
        (128, SIGNBOARD): [tally(40, 1.0)],
        (128, LOCK): [Tally((Answer(0.0, 1.0, "broken"),), 10.0)],
    }
    with pytest.raises(RuntimeError, match="broken"):
        report(turns, [], rate=1.0, idle_cores=0.0)


def test_the_capacity_of_sizes_in_turn_is_what_each_takes_together() -> None:
    assert capacity([[tally(20, 1.0)], [tally(60, 1.0)]]) == pytest.approx(3.0)
