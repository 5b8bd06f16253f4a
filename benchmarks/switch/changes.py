"""Requests of three kinds, each asked for twice running: after another kind, and after its own.

The two are a pair: the same work, one right after the other, so that only what came before differs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from benchmarks.harness import Spread, timed, turns

T = TypeVar("T")
Way = Callable[[T, int], Callable[[], object]]

ROUND = (0, 0, 1, 1, 2, 2, 0, 0, 2, 2, 1, 1)  # read in a circle, it has every change once
PAIRS = len(ROUND) // 2  # a round has


@dataclass
class Changes:
    """Seconds of paired requests: same[i] after one of its own kind, changed[i] after another."""

    same: list[float] = field(default_factory=list)
    changed: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> Spread:
        """After another kind over after the same."""
        return turns.ratio(self.changed, self.same)

    @property
    def added(self) -> Spread:
        """Seconds that a change adds, which may lie below 0."""
        differences = [c - s for s, c in zip(self.same, self.changed, strict=True)]
        return turns.hodges_lehmann(differences)


@dataclass(frozen=True)
class Asked(Generic[T]):
    """A way of drawing, and in how many rounds it takes part.

    way: is given a kind and a number, never the same twice, and prepares a request; what it
    returns is timed.
    """

    way: Way[T]
    rounds: int


def in_turn(
    ways: Mapping[str, Asked[T]],
    kinds: Sequence[T],
    progress: Callable[[int, int], None] = lambda done, of: None,
    clock: Callable[[Callable[[], object]], float] = timed,
) -> dict[str, Changes]:
    """Rounds of all ways, one after the other; those with fewer are spread over the whole time.

    kinds: three. progress: is told the rounds done and the most that a way has.
    """
    if len(kinds) != max(ROUND) + 1:
        raise ValueError(f"a round is of three kinds, not of {len(kinds)}")
    most = max(asked.rounds for asked in ways.values())
    changes = {name: Changes() for name in ways}
    for turn in range(most):
        for name, asked in ways.items():
            if turn * asked.rounds % most < asked.rounds:
                _one_round(asked.way, kinds, turn, changes[name], clock)
        progress(turn + 1, most)
    return changes


def _one_round(
    way: Way[T],
    kinds: Sequence[T],
    turn: int,
    into: Changes,
    clock: Callable[[Callable[[], object]], float],
) -> None:
    number = turn * (len(ROUND) + 1)
    first, *rest = _order(turn)
    way(kinds[first], number)()
    for place, kind in enumerate(rest, start=1):
        seconds = clock(way(kinds[kind], number + place))
        (into.changed if place % 2 else into.same).append(seconds)


def _order(turn: int) -> Iterator[int]:
    """A round's kinds, with the one that the circle has before them; which one begins changes.

    Every other round is walked backwards.
    """
    order = ROUND if turn % 2 == 0 else ROUND[::-1]
    for kind in (order[-1], *order):
        yield (kind + turn) % (max(ROUND) + 1)
