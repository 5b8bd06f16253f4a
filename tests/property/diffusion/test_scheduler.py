"""The step scheduler with numbers alone: bounds, budget, fairness."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from deployments.diffusion.profile import EngineLimits
from deployments.diffusion.scheduler import StepScheduler


@dataclass(eq=False)
class Row:
    lengths: tuple[int, ...]
    batch_key: str = "one"

    @property
    def tokens(self) -> int:
        return sum(self.lengths)


@dataclass(eq=False)
class Entry:
    rows: int
    running: list[Row] = field(default_factory=list)


LENGTHS = st.tuples(st.sampled_from([64, 96, 256]), st.sampled_from([32, 64]))
ROWS = st.lists(st.builds(Row, LENGTHS, st.sampled_from(["one", "two"])), min_size=1, max_size=20)


def padded_tokens(batch: list[Row]) -> int:
    return len(batch) * max(row.tokens for row in batch)


@given(ROWS, st.integers(50, 2000))
def test_a_batch_keeps_the_budget_and_one_key(rows: list[Row], budget: int) -> None:
    scheduler: StepScheduler[Entry, Row] = StepScheduler(
        EngineLimits(token_budget=budget, max_running=100, max_waiting=0)
    )
    scheduler.run(rows)
    batch = scheduler.next_batch()
    assert batch[0] is rows[0]
    assert len({row.batch_key for row in batch}) == 1
    assert len(batch) == 1 or padded_tokens(batch) <= budget
    assert Counter(map(id, scheduler.running)) == Counter(map(id, rows))


@given(ROWS, st.integers(50, 2000))
def test_nobody_waits_longer_than_everyone_else_once(rows: list[Row], budget: int) -> None:
    """Between two turns of a row there are at most as many borders as rows."""
    scheduler: StepScheduler[Entry, Row] = StepScheduler(
        EngineLimits(token_budget=budget, max_running=100, max_waiting=0)
    )
    scheduler.run(rows)
    waited = Counter({id(row): 0 for row in rows})
    for _ in range(3 * len(rows)):
        stepped = {id(row) for row in scheduler.next_batch()}
        for key in waited:
            waited[key] = 0 if key in stepped else waited[key] + 1
        assert max(waited.values()) < len(rows)


def test_rows_of_equal_lengths_join_before_older_ones_of_others() -> None:
    scheduler: StepScheduler[Entry, Row] = StepScheduler(
        EngineLimits(token_budget=3 * 96, max_running=8, max_waiting=0)
    )
    first, odd, same, alike = Row((64, 32)), Row((32, 32)), Row((64, 32)), Row((64, 32))
    scheduler.run([first, odd, same, alike])
    assert scheduler.next_batch() == [first, same, alike]
    assert scheduler.next_batch()[0] is odd


class Queue(RuleBasedStateMachine):
    """Requests come, run and go in any order; places are counted exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = EngineLimits(token_budget=512, max_running=4, max_waiting=6)
        self.scheduler: StepScheduler[Entry, Row] = StepScheduler(self.limits)
        self.waiting: list[Entry] = []
        self.running: list[Entry] = []

    @property
    def held(self) -> int:
        return sum(entry.rows for entry in self.waiting + self.running)

    @rule(rows=st.integers(1, 8))
    def submit(self, rows: int) -> None:
        entry = Entry(rows)
        fits = self.held + rows <= 10
        assert self.scheduler.submit(entry) == fits
        if fits:
            self.waiting.append(entry)

    @precondition(lambda self: self.waiting)
    @rule()
    def admit(self) -> None:
        occupied = len(self.scheduler.running)
        entry = self.scheduler.admit()
        if entry is None:
            assert occupied
            assert occupied + self.waiting[0].rows > self.limits.max_running
            return
        assert entry is self.waiting.pop(0)
        entry.running = [Row((64, 32)) for _ in range(entry.rows)]
        self.scheduler.run(entry.running)
        self.running.append(entry)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        entry = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        for row in entry.running:
            self.scheduler.stop(row)
        self.scheduler.release(entry)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave_while_waiting(self, data: st.DataObject) -> None:
        entry = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.scheduler.release(entry)

    @invariant()
    def places_are_exact(self) -> None:
        assert self.scheduler.held == self.held
        assert list(self.scheduler.waiting) == self.waiting


TestQueue = Queue.TestCase
