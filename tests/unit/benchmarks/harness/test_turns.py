"""Ways taken in turn, and the intervals of their ratios."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.turns import hodges_lehmann, in_turn, median, ratio

TIMES = st.lists(st.floats(0.01, 10), min_size=3, max_size=40)


def test_every_round_runs_every_way_and_every_other_one_backwards() -> None:
    called: list[str] = []
    progress: list[tuple[int, int]] = []
    ways = {name: lambda name=name: called.append(name) for name in "ab"}

    times = in_turn(ways, rounds=3, warm_up=1, progress=lambda *said: progress.append(said))

    assert "".join(called) == "ba" + "ab" + "ba" + "ab"
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 3, "b": 3}
    assert progress == [(0, 3), (1, 3), (2, 3), (3, 3)]


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
    """Median over median would be 2.2: the rounds took 1, 2 and 4 times as long."""
    spread = ratio([1.1, 2.2, 4.4, 2.2, 1.1], [1.0, 2.0, 4.0, 2.0, 1.0])

    assert spread.value == spread.low == spread.high == pytest.approx(1.1)


def test_a_few_wild_rounds_move_it_little() -> None:
    quiet = [1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99]

    assert ratio([*quiet, 5.0, 0.1], [1.0] * 10).value == pytest.approx(1.0, abs=0.01)


def test_it_is_the_median_of_the_means_of_all_pairs() -> None:
    """Of 0, 0, 0, 2, 2, 2, 2: means of 0 (six), 1 (twelve) and 2 (ten). Their median is 1, where
    the plain one is 2, and would be 0 with one number otherwise."""
    spread = hodges_lehmann([0, 0, 0, 2, 2, 2, 2])

    assert (spread.value, spread.low, spread.high) == (1, 0, 2)


def test_it_wanders_less_than_the_median_where_numbers_fall_in_two_heaps() -> None:
    rng = np.random.default_rng(3)
    samples = [rng.choice((-1.0, 1.0), 60) + rng.normal(0, 0.1, 60) for _ in range(200)]
    theirs = [median(list(sample)).value for sample in samples[:50]]
    ours = [hodges_lehmann(list(sample)).value for sample in samples[:50]]

    assert np.std(ours) < 0.5 * np.std(theirs)
    held = [spread.low <= 0 <= spread.high for spread in map(hodges_lehmann, samples)]
    assert 180 <= sum(held) <= 200


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
