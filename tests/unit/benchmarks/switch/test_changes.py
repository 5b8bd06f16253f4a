"""Requests in turn: who comes after whom, and what their times tell."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from benchmarks.switch import changes
from benchmarks.switch.changes import PAIRS, ROUND, Asked, Changes

KINDS = ("t2i", "i2i", "inpaint")


class Recorder:
    """A way that remembers what it was asked for."""

    def __init__(self) -> None:
        self.prepared: list[tuple[str, int]] = []
        self.drawn: list[str] = []

    def __call__(self, kind: str, number: int) -> Callable[[], object]:
        self.prepared.append((kind, number))
        return lambda: self.drawn.append(kind)


def test_a_round_has_every_change_once_and_a_request_of_the_same_kind_after_each() -> None:
    for turns in (1, 2, 3):
        way = Recorder()
        told = changes.in_turn({"way": Asked(way, turns)}, KINDS)["way"]
        assert len(told.same) == len(told.changed) == turns * PAIRS

        length = len(ROUND) + 1
        for start in range(0, turns * length, length):
            drawn = way.drawn[start : start + length]
            after = list(pairwise(drawn))
            assert all(before != kind for before, kind in after[::2])
            assert all(before == kind for before, kind in after[1::2])
            assert len(set(after[::2])) == PAIRS
            assert Counter(kind for _, kind in after[1::2]) == dict.fromkeys(KINDS, 2)


def test_no_request_is_asked_for_twice() -> None:
    way = Recorder()
    changes.in_turn({"way": Asked(way, 4)}, KINDS)

    numbers = [number for _, number in way.prepared]
    assert len(set(numbers)) == len(numbers) == 4 * (len(ROUND) + 1)
    assert way.drawn == [kind for kind, _ in way.prepared]


@pytest.mark.parametrize("fewer", range(1, 8))
def test_a_way_with_fewer_rounds_is_spread_over_the_others(fewer: int) -> None:
    ways = {"often": Asked(Recorder(), 7), "seldom": Asked(Recorder(), fewer)}
    done: list[tuple[int, int]] = []
    told = changes.in_turn(ways, KINDS, lambda *progress: done.append(progress))

    assert len(told["often"].same) == 7 * PAIRS
    assert len(told["seldom"].same) == fewer * PAIRS
    assert done == [(turn, 7) for turn in range(1, 8)]


def test_only_three_kinds_make_a_round() -> None:
    with pytest.raises(ValueError, match="three kinds"):
        changes.in_turn({"way": Asked(Recorder(), 1)}, KINDS[:2])


def test_a_pair_tells_what_a_change_adds() -> None:
    told = Changes(same=[1.0, 2.0, 3.0], changed=[1.5, 3.0, 4.5])

    assert told.ratio.value == told.ratio.low == told.ratio.high == 1.5
    assert told.added.value == 1.0
    assert 0.5 <= told.added.low <= told.added.high <= 1.5
