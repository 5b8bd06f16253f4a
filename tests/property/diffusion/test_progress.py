"""Nobody starves: borders waited are bounded by the work that stood before, whatever comes after.

The scheduler is turned as the engine's loop turns it, by work of numbers alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.diffusion.engine.scheduler import StepScheduler
from deployments.diffusion.profile import EngineLimits
from deployments.diffusion.request.params import Priority

BORDERS = 200
MOST = 5  # pictures of a request: more than may run at once


@dataclass(frozen=True)
class Asked:
    """A request to come. after: borders since the one before. steps: of each of its passes."""

    after: int
    places: int
    priority: Priority = "interactive"
    steps: tuple[int, ...] = (3,)
    lengths: tuple[int, int] = (64, 32)
    batch_key: str = "one"


@dataclass(eq=False)
class Entry:
    asked: Asked
    arrived: int
    bound: int = 0
    admitted: int | None = None
    rows: list["Row"] = field(default_factory=list)

    @property
    def places(self) -> int:
        return self.asked.places

    @property
    def priority(self) -> Priority:
        return self.asked.priority


@dataclass(eq=False)
class Row:
    entry: Entry
    left: list[int]  # steps of the passes to come
    drawn: bool = False

    @property
    def lengths(self) -> tuple[int, ...]:
        return self.entry.asked.lengths

    @property
    def tokens(self) -> int:
        return sum(self.lengths)

    @property
    def batch_key(self) -> str:
        return self.entry.asked.batch_key

    @property
    def priority(self) -> Priority:
        return self.entry.priority

    @property
    def returns(self) -> bool:
        return len(self.left) > 1


class Service:
    """The loop, border by border, with the bound of every request that it takes."""

    def __init__(self, limits: EngineLimits, stream: Iterable[Asked] = ()) -> None:
        """stream: what comes, as `after` says."""
        self.limits = limits
        self.stream = iter(stream)
        self.coming = next(self.stream, None)
        self.since = 0
        self.scheduler: StepScheduler[Entry, Row] = StepScheduler(limits)
        self.border = 0
        self.taken: list[Entry] = []

    def submit(self, asked: Asked) -> None:
        entry = Entry(asked, self.border)
        entry.bound = self.bound(asked.priority)
        if self.scheduler.submit(entry):
            self.taken.append(entry)

    def bound(self, priority: Priority) -> int:
        """Borders until a request of `priority` that comes now is admitted, at most.

        No later one of its priority goes before it. So every border but those that the other
        priority has takes a step or a decode off what stood before it, and those are bounded: by
        `ageing_borders` in a row while interactive rows wait, by a bulk row's pause.
        """
        ageing = self.limits.ageing_borders
        before = [
            row.left
            for entry in self.taken
            for row in entry.rows
            if not row.drawn and entry.priority == priority
        ]
        for entry in self.scheduler.waiting:
            if entry.priority == priority:
                before += [list(entry.asked.steps)] * entry.places
        steps, decodes = sum(map(sum, before)), sum(map(len, before))
        if priority == "interactive":
            return (steps + decodes + 1) * (1 + ageing)
        rows = max(self.limits.max_running, MOST)
        return ageing + steps * (ageing + 2 * rows) + decodes * (ageing + decodes)

    def tick(self) -> None:
        while entry := self.scheduler.admit():
            entry.admitted = self.border
            entry.rows = [Row(entry, list(entry.asked.steps)) for _ in range(entry.places)]
            self.scheduler.run(entry.rows)
        for row in self.scheduler.next_batch():
            row.left[0] -= 1
            if row.left[0] == 0:
                self.scheduler.to_decoder(row)
        for row in self.scheduler.next_decodes():
            if row.returns:
                del row.left[0]
                self.scheduler.run([row])
                continue
            row.drawn = True
            if all(one.drawn for one in row.entry.rows):
                self.scheduler.release(row.entry, row.entry.rows)
        self.border += 1

    def serve(self, borders: int) -> None:
        for _ in range(borders):
            while self.coming and self.since >= self.coming.after:
                self.since -= self.coming.after
                self.submit(self.coming)
                self.coming = next(self.stream, None)
            self.tick()
            self.since += 1

    def late(self) -> list[Entry]:
        """Who waited, or has waited by now, longer than its bound."""
        return [
            entry
            for entry in self.taken
            if (self.border if entry.admitted is None else entry.admitted) - entry.arrived
            > entry.bound
        ]


ASKED = st.builds(
    Asked,
    after=st.integers(1, 7),
    places=st.sampled_from([1, 1, 1, 2, 4, MOST]),
    priority=st.sampled_from(["interactive", "bulk"]),
    steps=st.sampled_from([(1,), (3,), (8,), (2, 1)]),
    lengths=st.sampled_from([(64, 32), (96, 32)]),
    batch_key=st.sampled_from(["one", "two"]),
)
LIMITS = st.builds(
    EngineLimits,
    token_budget=st.sampled_from([100, 300, 2000]),
    max_running=st.integers(1, 4),
    max_waiting=st.integers(4, 12),
    ageing_borders=st.integers(1, 6),
)


@settings(max_examples=200, deadline=None)
@given(LIMITS, st.lists(ASKED, min_size=1, max_size=8))
def test_everyone_is_admitted_in_the_time_of_what_stood_before(
    limits: EngineLimits, asked: Sequence[Asked]
) -> None:
    """Of an endless stream of requests, the same ones over and over."""
    service = Service(limits, cycle(asked))
    service.serve(BORDERS)
    assert service.late() == []


@pytest.mark.parametrize("priority", ["interactive", "bulk"])
def test_many_pictures_are_admitted_against_a_stream_of_single_ones(priority: Priority) -> None:
    """Four of four places, while one is asked for every seven steps of eight."""
    limits = EngineLimits(token_budget=2000, max_running=4, max_waiting=16)
    service = Service(limits, cycle([Asked(7, 1, priority, steps=(8,))]))
    service.serve(20)
    service.submit(Asked(0, 4, priority, steps=(8,)))
    many = service.taken[-1]
    service.serve(BORDERS)
    assert many.admitted is not None
    assert many.admitted - many.arrived <= 8  # the running ones end, no other one begins


def test_an_aged_bulk_request_is_admitted_before_later_bulk_ones() -> None:
    """Whatever interactive rows run."""
    ageing = 4
    limits = EngineLimits(token_budget=2000, max_running=4, max_waiting=16, ageing_borders=ageing)
    stream = [Asked(1, 1, "interactive", steps=(3,)), Asked(1, 1, "bulk", steps=(2,))]
    service = Service(limits, cycle(stream))
    service.serve(40)
    service.submit(Asked(0, 4, "bulk"))
    many = service.taken[-1]
    service.serve(BORDERS)
    assert many.admitted is not None
    assert many.admitted - many.arrived <= many.bound


def test_the_places_kept_for_many_pictures_are_kept_no_longer_than_needed() -> None:
    """All of the device works again at the border at which they fit."""
    service = Service(EngineLimits(token_budget=2000, max_running=4, max_waiting=16))
    for asked in (Asked(0, 1, steps=(3,)), Asked(0, 4), *[Asked(0, 1)] * 4):
        service.submit(asked)
    busy = []
    for _ in range(9):
        service.tick()
        busy.append(len(service.scheduler.running))
    assert busy == [1, 1, 0, 4, 4, 0, 4, 4, 0]


def test_interactive_rows_step_beside_any_number_of_aged_bulk_ones() -> None:
    """Bulk rows that no interactive one can join lead often, but not for ever."""
    limits = EngineLimits(token_budget=100, max_running=4, max_waiting=16, ageing_borders=3)
    service = Service(limits)
    service.submit(Asked(0, 4, "bulk", steps=(40,)))
    service.tick()
    service.submit(Asked(0, 1, steps=(5,)))
    urgent = service.taken[-1]
    for _ in range(5 * (1 + limits.ageing_borders)):
        service.tick()
    assert urgent.rows[0].drawn


def test_an_aged_bulk_picture_is_decoded_beside_any_number_of_interactive_ones() -> None:
    limits = EngineLimits(token_budget=2000, max_running=4, max_waiting=16, ageing_borders=3)
    service = Service(limits, cycle([Asked(1, 1, steps=(1,)), Asked(0, 1, steps=(1,))]))
    service.submit(Asked(0, 1, "bulk", steps=(2,)))
    bulk = service.taken[-1]
    service.serve(30)
    assert bulk.rows[0].drawn
