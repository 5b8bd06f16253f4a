"""Ways of doing one thing, timed in turn, and their ratio with its interval.

What slows a machine for a while slows neighbours in time alike: so every round runs every way once
(A B A B), and intervals come from drawing whole rounds anew, not single times.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 4000
SEED = 20
CONFIDENCE = 0.95

Times = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Spread:
    """A number with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def timed(way: Callable[[], object]) -> float:
    """Wall seconds that one call takes."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def told_seconds(way: Callable[[], object]) -> float:
    """The clock of ways that time themselves, in another process for example."""
    seconds = way()
    assert isinstance(seconds, float)
    return seconds


def in_turn(
    ways: Mapping[str, Callable[[], object]],
    rounds: int,
    warm_up: int = 1,
    clock: Callable[[Callable[[], object]], float] = timed,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Times:
    """Seconds of each way, a list of `rounds`; `warm_up` rounds before are not counted.

    Every other round goes through the ways backwards, so that none is always after the same one.
    told: is told the rounds done and their number.
    """
    times: Times = {name: [] for name in ways}
    for turn in range(-warm_up, rounds):
        names = list(ways)
        for name in names if turn % 2 == 0 else reversed(names):
            seconds = clock(ways[name])
            if turn >= 0:
                times[name].append(seconds)
        told(max(turn + 1, 0), rounds)
    return times


def median(numbers: Sequence[float]) -> Spread:
    """The median of one way's times, or of anything else that every round gave once."""
    count = len(numbers)
    rounds = np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))
    resampled = np.median(np.asarray(numbers)[rounds], axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, (tail, 1 - tail))
    return Spread(statistics.median(numbers), float(low), float(high))


def ratio(times: Sequence[float], baseline: Sequence[float]) -> Spread:
    """The median of each round's own ratio: what slowed a whole round has no part in it."""
    if len(times) != len(baseline):
        raise ValueError(f"{len(times)} times cannot be paired with {len(baseline)}")
    return median([one / other for one, other in zip(times, baseline, strict=True)])
