"""The step scheduler with numbers alone: bounds, budget, fairness."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from deployments.diffusion.engine.scheduler import StepScheduler
from deployments.diffusion.profile import EngineLimits
from deployments.diffusion.request.params import Priority


@dataclass(eq=False)
class Row:
    lengths: tuple[int, ...]
    batch_key: str = "one"
    priority: Priority = "interactive"
    returns: bool = False

    @property
    def tokens(self) -> int:
        return sum(self.lengths)


@dataclass(eq=False)
class Entry:
    places: int
    priority: Priority = "interactive"
    running: list[Row] = field(default_factory=list)


LENGTHS = st.tuples(st.sampled_from([64, 96, 256]), st.sampled_from([32, 64]))
PRIORITIES = st.sampled_from(["interactive", "bulk"])
ROWS = st.lists(st.builds(Row, LENGTHS, st.sampled_from(["one", "two"])), min_size=1, max_size=20)
MIXED = st.lists(st.builds(Row, LENGTHS, priority=PRIORITIES), min_size=1, max_size=12)


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
    """Between two turns of a row there are at most as many ticks as rows."""
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


@given(MIXED, st.integers(100, 2000), st.integers(1, 8))
def test_bulk_rows_pause_but_not_for_ever(rows: list[Row], budget: int, ageing: int) -> None:
    """A bulk row steps once in `ageing` ticks and one for each bulk row, and where those are as
    many as `ageing`, one for each turn of an interactive row; nobody else shares a forward with
    interactive rows than one aged bulk row."""
    scheduler: StepScheduler[Entry, Row] = StepScheduler(
        EngineLimits(token_budget=budget, max_running=100, max_waiting=0, ageing_borders=ageing)
    )
    scheduler.run(rows)
    bulk = [row for row in rows if row.priority == "bulk"]
    since = Counter({id(row): 0 for row in bulk})
    for _ in range(3 * (ageing + len(rows))):
        batch = scheduler.next_batch()
        stepped = {id(row) for row in batch}
        if len(bulk) < len(rows):
            assert sum(row.priority == "bulk" for row in batch) <= 1
            aged = [n for n in since.values() if n + 1 >= ageing]
            assert aged or all(row.priority == "interactive" for row in batch)
        for key in since:
            since[key] = 0 if key in stepped else since[key] + 1
        assert max(since.values(), default=0) <= ageing + len(bulk) + len(bulk) // ageing


def test_finished_interactive_pictures_are_decoded_before_bulk_ones() -> None:
    scheduler: StepScheduler[Entry, Row] = StepScheduler(
        EngineLimits(token_budget=1000, max_running=8, max_waiting=0, ageing_borders=2)
    )
    bulk, bulk_too = Row((64, 32), priority="bulk"), Row((64, 32), priority="bulk")
    first, second, still = Row((64, 32)), Row((64, 32)), Row((64, 32))
    scheduler.run([bulk, bulk_too, first, second, still])
    for row in (bulk, bulk_too, first, second):
        scheduler.to_decoder(row)
    assert scheduler.next_decodes() == [first]  # half of what waits, since one still steps
    assert scheduler.next_decodes() == [second]
    assert scheduler.next_decodes() == []  # bulk pictures wait for the one that steps
    scheduler.next_batch()
    scheduler.next_batch()
    assert scheduler.next_decodes() == [bulk]  # but not for ever
    scheduler.to_decoder(still)
    assert scheduler.next_decodes() == [still, bulk_too]  # nor beside others, once aged


def test_an_interactive_request_that_comes_waits_for_no_bulk_decode() -> None:
    scheduler: StepScheduler[Entry, Row] = StepScheduler(
        EngineLimits(token_budget=1000, max_running=8, max_waiting=8)
    )
    bulk = Row((64, 32), priority="bulk")
    scheduler.run([bulk])
    scheduler.to_decoder(bulk)
    urgent = Entry(1)
    assert scheduler.submit(urgent)
    assert scheduler.next_decodes() == []
    scheduler.release(urgent, [])
    assert scheduler.next_decodes() == [bulk]


def test_interactive_requests_overtake_bulk_ones_until_those_are_aged() -> None:
    scheduler: StepScheduler[Entry, Row] = StepScheduler(
        EngineLimits(token_budget=1000, max_running=2, max_waiting=8, ageing_borders=3)
    )
    bulk, later, urgent = Entry(2, "bulk"), Entry(1, "bulk"), Entry(2)
    for entry in (bulk, later, urgent):
        assert scheduler.submit(entry)
    assert scheduler.admit() is urgent
    scheduler.run(urgent_rows := [Row((64, 32)), Row((64, 32))])
    assert scheduler.admit() is None
    for _ in range(3):
        scheduler.next_batch()
    newcomer = Entry(1)
    assert scheduler.submit(newcomer)
    scheduler.release(urgent, urgent_rows)
    assert scheduler.admit() is bulk  # aged by now
    scheduler.run([Row((64, 32), priority="bulk"), Row((64, 32), priority="bulk")])
    assert scheduler.admit() is newcomer  # bulk rows take no place away from interactive ones
    assert scheduler.admit() is None


def test_an_aged_bulk_request_runs_beside_any_number_of_interactive_ones() -> None:
    scheduler: StepScheduler[Entry, Row] = StepScheduler(
        EngineLimits(token_budget=1000, max_running=2, max_waiting=8, ageing_borders=3)
    )
    scheduler.run([Row((64, 32)), Row((64, 32))])
    bulk = Entry(2, "bulk")
    assert scheduler.submit(bulk)
    for _ in range(3):
        assert scheduler.admit() is None
        scheduler.next_batch()
    assert scheduler.admit() is bulk


def test_rows_that_come_back_keep_their_running_places() -> None:
    scheduler: StepScheduler[Entry, Row] = StepScheduler(
        EngineLimits(token_budget=1000, max_running=1, max_waiting=8)
    )
    row = Row((64, 32), returns=True)
    scheduler.run([row])
    assert scheduler.submit(Entry(1))
    scheduler.to_decoder(row)
    assert scheduler.admit() is None
    row.returns = False
    assert scheduler.admit() is not None


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
        return sum(entry.places for entry in self.waiting + self.running)

    def held_by(self, entries: list[Entry], priority: Priority) -> int:
        return sum(entry.places for entry in entries if entry.priority == priority)

    def heads(self) -> list[Entry]:
        """The first of either priority."""
        return list({entry.priority: entry for entry in reversed(self.waiting)}.values())

    @rule(rows=st.integers(1, 8), priority=PRIORITIES)
    def submit(self, rows: int, priority: Priority) -> None:
        entry = Entry(rows, priority)
        held_by_bulk = self.held_by(self.waiting + self.running, "bulk")
        fits = self.held + rows <= 10 and (priority == "interactive" or held_by_bulk + rows <= 6)
        assert self.scheduler.submit(entry) == fits
        if fits:
            self.waiting.append(entry)

    @precondition(lambda self: self.waiting)
    @rule()
    def admit(self) -> None:
        occupied = {
            "interactive": sum(r.priority == "interactive" for r in self.scheduler.running),
            "bulk": len(self.scheduler.running),
        }
        entry = self.scheduler.admit()
        if entry is None:
            for head in self.heads():
                assert occupied[head.priority]
                assert occupied[head.priority] + head.places > self.limits.max_running
            return
        assert entry in self.heads()
        assert occupied[entry.priority] == 0 or (
            occupied[entry.priority] + entry.places <= self.limits.max_running
        )
        self.waiting.remove(entry)
        entry.running = [Row((64, 32), priority=entry.priority) for _ in range(entry.places)]
        self.scheduler.run(entry.running)
        self.running.append(entry)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        entry = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        for row in entry.running[: len(entry.running) // 2]:
            self.scheduler.to_decoder(row)
        self.scheduler.release(entry, entry.running)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave_while_waiting(self, data: st.DataObject) -> None:
        entry = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.scheduler.release(entry, [])

    @invariant()
    def places_are_exact(self) -> None:
        assert self.scheduler.held == self.held
        assert list(self.scheduler.waiting) == self.waiting
        assert not self.scheduler.decoding
        assert len(self.scheduler.running) == sum(entry.places for entry in self.running)


TestQueue = Queue.TestCase
