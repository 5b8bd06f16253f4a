"""Ways taken in turn, and the intervals of their ratios."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.turns import in_turn, median, ratio

TIMES = st.lists(st.floats(0.01, 10), min_size=3, max_size=40)


def test_every_round_runs_every_way_and_every_other_one_backwards() -> None:
    called: list[str] = []
    told: list[tuple[int, int]] = []
    ways = {name: lambda name=name: called.append(name) for name in "ab"}

    times = in_turn(ways, rounds=3, warm_up=1, told=lambda *said: told.append(said))

    assert "".join(called) == "ba" + "ab" + "ba" + "ab"
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 3, "b": 3}
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_clock_may_be_another() -> None:
    seconds = iter(range(100))

    def clock(way: object) -> float:
        return next(seconds)

    assert in_turn({"a": int}, rounds=2, warm_up=3, clock=clock) == {"a": [3, 4]}


@settings(max_examples=25, deadline=None)
@given(TIMES, st.floats(0.1, 10))
def test_a_ratio_of_times_that_differ_by_a_factor_has_no_spread(
    times: list[float], factor: float
) -> None:
    spread = ratio([factor * seconds for seconds in times], times)

    assert spread.value == pytest.approx(factor)
    assert spread.low == pytest.approx(factor)
    assert spread.high == pytest.approx(factor)


def test_a_ratio_is_of_pairs_so_that_a_slow_round_does_not_count() -> None:
    """Median over median would be 1.5: the rounds took 1, 2 and 4 times as long."""
    spread = ratio([3.0, 2.0, 4.4], [1.0, 2.0, 4.0])

    assert spread.value == pytest.approx(1.1)


@settings(max_examples=25, deadline=None)
@given(TIMES)
def test_a_median_lies_in_its_interval(times: list[float]) -> None:
    spread = median(times)

    assert min(times) <= spread.low <= spread.value <= spread.high <= max(times)


def test_the_interval_covers_the_true_ratio() -> None:
    """Of 200 pairs of samples whose true ratio is 1, about 95 of 100 intervals hold it."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        spread = ratio(list(rng.lognormal(0, 0.1, 60)), list(rng.lognormal(0, 0.1, 60)))
        held += spread.low <= 1 <= spread.high

    assert 180 <= held <= 200


def test_unequal_numbers_of_times_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="3 times cannot be paired with 2"):
        ratio([1, 2, 3], [1, 2])
