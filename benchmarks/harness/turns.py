"""Ways of doing one thing, timed in turn, and their ratio with its interval.

What slows a machine for a while slows neighbours in time alike: so every round runs every way once
(A B A B), and ratios are made within rounds.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

RESAMPLES = 4000
SEED = 20
CONFIDENCE = 0.95
NORMAL_QUANTILE = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
Times = dict[str, list[float]]
Places = Mapping[str, Sequence[tuple[ModuleType, str]]]


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


def own_seconds(way: Callable[[], object]) -> float:
    """The clock of ways that time themselves, in another process for example."""
    seconds = way()
    assert isinstance(seconds, float)
    return seconds


def in_turn(
    ways: Mapping[str, Callable[[], object]],
    rounds: int,
    warm_up: int = 1,
    clock: Callable[[Callable[[], object]], float] = timed,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Times:
    """Seconds of each way, a list of `rounds`; `warm_up` rounds before are not counted.

    Every other round goes through the ways backwards, so that none is always after the same one.
    progress: is told the rounds done and their number.
    """
    times: Times = {name: [] for name in ways}
    for turn in range(-warm_up, rounds):
        names = list(ways)
        for name in names if turn % 2 == 0 else reversed(names):
            seconds = clock(ways[name])
            if turn >= 0:
                times[name].append(seconds)
        progress(max(turn + 1, 0), rounds)
    return times


def median(numbers: Sequence[float]) -> Spread:
    """The median of one way's times, or of anything else that every round gave once."""
    count = len(numbers)
    rounds = np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))
    resampled = np.median(np.asarray(numbers)[rounds], axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, (tail, 1 - tail))
    return Spread(statistics.median(numbers), float(low), float(high))


def hodges_lehmann(numbers: Sequence[float]) -> Spread:
    """The median of the means of all pairs of numbers, each with itself too, and its interval from
    the ranks of Wilcoxon's signed-rank test (Hollander and Wolfe, "Nonparametric Statistical
    Methods", chapter 3).

    Of paired differences it wanders less than their median, which jumps where they fall in two
    heaps, as they do on a machine of two speeds; a few wild ones move it little. With fewer than
    six numbers the interval is all that they span.
    """
    values, count = np.asarray(numbers), len(numbers)
    first, second = np.triu_indices(count)
    means = np.sort((values[first] + values[second]) / 2)
    deviation = math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
    outside = max(0, round(len(means) / 2 - NORMAL_QUANTILE * deviation))
    return Spread(float(np.median(means)), float(means[outside]), float(means[-1 - outside]))


def ratio(times: Sequence[float], baseline: Sequence[float]) -> Spread:
    """What each round's own ratios give: what slowed a whole round has no part in it.

    The estimate is of their logarithms, so that a ratio and its inverse count alike.
    """
    if len(times) != len(baseline):
        raise ValueError(f"{len(times)} times cannot be paired with {len(baseline)}")
    logs = [math.log(one / other) for one, other in zip(times, baseline, strict=True)]
    log = hodges_lehmann(logs)
    return Spread(math.exp(log.value), math.exp(log.low), math.exp(log.high))


class Clock:
    """Seconds by part, of the processor or as `now` tells; what one part spends inside another
    counts there."""

    def __init__(self, now: Callable[[], float] = time.process_time) -> None:
        self._now = now
        self.spent: dict[str, float] = {}
        self._inner = [0.0]

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            began = self._now()
            try:
                return function(*args, **kwargs)
            finally:
                took = self._now() - began
                own = took - self._inner.pop()
                self._inner[-1] += took
                self.spent[part] = self.spent.get(part, 0.0) + own

        return call


@contextmanager
def watch(places: Places, now: Callable[[], float] = time.process_time) -> Iterator[Clock]:
    """Time the functions at `places`, each a module and a name in it, until the block ends."""
    clock = Clock(now)
    kept = [(module, name, getattr(module, name)) for at in places.values() for module, name in at]
    for part, at in places.items():
        for module, name in at:
            setattr(module, name, clock.timed(part, getattr(module, name)))
    try:
        yield clock
    finally:
        for module, name, function in kept:
            setattr(module, name, function)
