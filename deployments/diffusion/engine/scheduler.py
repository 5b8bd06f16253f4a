"""Which requests wait, which rows step next, which are decoded. Pure: only numbers.

Interactive requests go before bulk ones: they are admitted first, and while any of their rows
runs, bulk rows pause between two steps, keeping latents and place. Bulk requests never hold the
last places, so that a campaign which fills the queue turns no interactive request away.

Within a priority nobody overtakes: running places that become free are kept for the head of the
queue until its rows fit, however few those behind it need. So a request waits at most for what
stood before it.

Ageing bounds the pause. A bulk row that runs steps at least once in `ageing_borders` +
`max_running` ticks (with so many bulk rows that interactive ones would never lead, these do once
after `ageing_borders` others). A bulk request at the head of its queue is admitted within
`ageing_borders` ticks, or as soon after as no earlier bulk row stands in its way, whatever
interactive rows run. An aged bulk picture is decoded, one a tick.
"""

from collections import deque
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from deployments.diffusion.profile import EngineLimits
from deployments.diffusion.request import Priority


class Schedulable(Protocol):
    """What the scheduler sees of one picture on its way."""

    @property
    def lengths(self) -> tuple[int, ...]: ...
    @property
    def tokens(self) -> int: ...
    @property
    def batch_key(self) -> Hashable: ...
    @property
    def priority(self) -> Priority: ...
    @property
    def returns(self) -> bool: ...


class Entry(Protocol):
    """What the scheduler sees of one request: how many rows it will be, and how urgent."""

    @property
    def places(self) -> int: ...
    @property
    def priority(self) -> Priority: ...


RowT = TypeVar("RowT", bound=Schedulable)
EntryT = TypeVar("EntryT", bound=Entry)


class StepScheduler(Generic[EntryT, RowT]):
    """First come, first served within a priority, into a bounded set of running rows.

    running and decoding are in the order in which their rows last had a turn. Not thread-safe: the
    engine calls it under its own lock.
    """

    def __init__(self, limits: EngineLimits) -> None:
        self.limits = limits
        self.waiting: deque[EntryT] = deque()
        self.running: deque[RowT] = deque()
        self.decoding: deque[RowT] = deque()
        self._held: dict[Priority, int] = {"interactive": 0, "bulk": 0}
        self._tick = 0
        self._bulk_led = 0  # forwards in a row that bulk rows led while interactive ones ran
        self._since: dict[int, int] = {}  # by id: the tick of a row's last turn, an entry's entry

    @property
    def capacity(self) -> int:
        """Places in all: rows running and rows waiting."""
        return self.limits.max_running + self.limits.max_waiting

    @property
    def busy(self) -> bool:
        """Whether anything can be admitted, stepped or decoded."""
        return bool(self.waiting or self.running or self.decoding)

    @property
    def held(self) -> int:
        """Places taken by requests that are not yet released."""
        return self._held["interactive"] + self._held["bulk"]

    def places(self, priority: Priority) -> int:
        """Places that requests of `priority` may take: all, or for bulk as many as may wait (or
        as may run, if those are more)."""
        limits = self.limits
        if priority == "interactive":
            return self.capacity
        return max(limits.max_running, limits.max_waiting)

    def submit(self, entry: EntryT) -> bool:
        """Queue the request; False, and nothing is changed, when its rows find no place."""
        own = self._held[entry.priority] + entry.places
        if self.held + entry.places > self.capacity or own > self.places(entry.priority):
            return False
        self._held[entry.priority] = own
        self.waiting.append(entry)
        self._since[id(entry)] = self._tick
        return True

    def admit(self) -> EntryT | None:
        """Take the next waiting request whose rows may run now: the head of either priority.

        An aged bulk request goes first, then interactive ones, then bulk ones. Bulk rows take no
        running place away from interactive ones, nor do these from an aged bulk request. Rows that
        will step again after their decode keep their running places. What has more rows than may
        run at once is admitted when no row stands in its way.
        """
        running = (*self.running, *(row for row in self.decoding if row.returns))
        heads: dict[Priority, EntryT] = {}
        for entry in self.waiting:
            heads.setdefault(entry.priority, entry)
        for entry in sorted(heads.values(), key=self._admission_order):
            either = entry.priority == "bulk" and not self._is_aged(entry)
            rivals = sum(either or row.priority == entry.priority for row in running)
            if rivals == 0 or rivals + entry.places <= self.limits.max_running:
                self.waiting.remove(entry)
                del self._since[id(entry)]
                return entry
        return None

    def run(self, rows: list[RowT]) -> None:
        """Let the rows of an admitted request take part in the next batches."""
        self.running.extend(rows)
        self._since.update((id(row), self._tick) for row in rows)

    def next_batch(self) -> list[RowT]:
        """Rows for the next forward, the one that has waited longest leading.

        While interactive rows run they share the forward among themselves, with at most one aged
        bulk row, which then leads. Rows of the leader's batch key join it, those of equal lengths
        first (no attention mask), as long as rows x longest row stays in the token budget. A
        leader beyond the budget steps alone.
        """
        self._tick += 1
        urgent = [row for row in self.running if row.priority == "interactive"]
        if urgent and self._bulk_led < self.limits.ageing_borders:
            urgent = self._aged(self.running) + urgent
        order = urgent or list(self.running)
        if not order:
            return []
        leader = order[0]
        self._bulk_led = self._bulk_led + 1 if urgent and leader.priority == "bulk" else 0
        others = [row for row in order[1:] if row.batch_key == leader.batch_key]
        others.sort(key=lambda row: row.lengths != leader.lengths)  # stable: oldest first within
        batch, longest = [leader], leader.tokens
        for row in others:
            width = max(longest, row.tokens)
            if width * (len(batch) + 1) <= self.limits.token_budget:
                batch.append(row)
                longest = width
        chosen = {id(row) for row in batch}
        self.running = deque([row for row in self.running if id(row) not in chosen] + batch)
        self._since.update((row, self._tick) for row in chosen)
        return batch

    def to_decoder(self, row: RowT) -> None:
        """Move a row that has no step left from running to decoding."""
        self.running.remove(row)
        self.decoding.append(row)
        self._since[id(row)] = self._tick

    def next_decodes(self) -> list[RowT]:
        """Rows to decode at this tick; they are the caller's from here on.

        Half of those that wait while others step, so that a burst of finished pictures does not
        stall them; all when nothing steps. Bulk rows wait while interactive ones run or are about
        to, or are decoded themselves: but one aged bulk row is decoded beside them.
        """
        urgent = [row for row in self.decoding if row.priority == "interactive"]
        running = any(row.priority == "interactive" for row in self.running)
        coming = any(entry.priority == "interactive" for entry in self.waiting)
        pausing = bool(urgent) or running or coming
        ready = urgent if pausing else list(self.decoding)
        taken = ready[: -(-len(ready) // 2)] if self.running else ready
        taken += self._aged(self.decoding) if pausing else []
        for row in taken:
            self.decoding.remove(row)
            del self._since[id(row)]
        return taken

    def release(self, entry: EntryT, rows: list[RowT]) -> None:
        """Give back the places of a request that is finished, failed or cancelled."""
        self._held[entry.priority] -= entry.places
        if entry in self.waiting:
            self.waiting.remove(entry)
        for row in rows:
            for queue in (self.running, self.decoding):
                if row in queue:
                    queue.remove(row)
        for gone in (entry, *rows):
            self._since.pop(id(gone), None)

    def _admission_order(self, entry: EntryT) -> int:
        if entry.priority == "interactive":
            return 1
        return 0 if self._is_aged(entry) else 2

    def _aged(self, rows: deque[RowT]) -> list[RowT]:
        """The bulk row that has waited longest, if that is too long; one row at most."""
        bulk = (row for row in rows if row.priority == "bulk")
        oldest = next(bulk, None)
        return [oldest] if oldest is not None and self._is_aged(oldest) else []

    def _is_aged(self, waiting: RowT | EntryT) -> bool:
        return self._tick - self._since[id(waiting)] >= self.limits.ageing_borders
