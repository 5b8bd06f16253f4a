"""Which requests wait, which rows step next. Pure: no tensors, no threads, only numbers."""

from collections import deque
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from deployments.diffusion.profile import EngineLimits


class Row(Protocol):
    """What the scheduler sees of one picture being stepped."""

    @property
    def lengths(self) -> tuple[int, ...]: ...
    @property
    def tokens(self) -> int: ...
    @property
    def batch_key(self) -> Hashable: ...


class Entry(Protocol):
    """What the scheduler sees of one request: how many rows it will be."""

    @property
    def rows(self) -> int: ...


RowT = TypeVar("RowT", bound=Row)
EntryT = TypeVar("EntryT", bound=Entry)


class StepScheduler(Generic[EntryT, RowT]):
    """First come, first served into a bounded set of running rows; each border steps the rows
    that have waited longest, with others that fit beside them under the token budget.

    Not thread-safe: the engine calls it under its own lock.
    """

    def __init__(self, limits: EngineLimits) -> None:
        self.limits = limits
        self.waiting: deque[EntryT] = deque()
        self.running: deque[RowT] = deque()
        self._held = 0

    @property
    def capacity(self) -> int:
        """Places in all: rows running and rows waiting."""
        return self.limits.max_running + self.limits.max_waiting

    @property
    def held(self) -> int:
        """Places taken by requests that are not yet released."""
        return self._held

    def submit(self, entry: EntryT) -> bool:
        """Queue the request; False, and nothing is changed, when its rows find no place."""
        if self._held + entry.rows > self.capacity:
            return False
        self._held += entry.rows
        self.waiting.append(entry)
        return True

    def admit(self) -> EntryT | None:
        """Take the oldest waiting request if its rows may run now.

        A request with more rows than may run at once is admitted alone.
        """
        if not self.waiting:
            return None
        rows = self.waiting[0].rows
        if self.running and len(self.running) + rows > self.limits.max_running:
            return None
        return self.waiting.popleft()

    def run(self, rows: list[RowT]) -> None:
        """Let the rows of an admitted request take part in the next batches."""
        self.running.extend(rows)

    def next_batch(self) -> list[RowT]:
        """Rows for the next forward; they move to the back of the queue of running rows.

        The row that has waited longest leads. Rows of its batch key join it, those of equal
        lengths first (no attention mask), as long as rows x longest row stays in the budget. A
        leader beyond the budget steps alone.
        """
        if not self.running:
            return []
        leader = self.running[0]
        others = [row for row in list(self.running)[1:] if row.batch_key == leader.batch_key]
        others.sort(key=lambda row: row.lengths != leader.lengths)  # stable: oldest first within
        batch, longest = [leader], leader.tokens
        for row in others:
            width = max(longest, row.tokens)
            if width * (len(batch) + 1) <= self.limits.token_budget:
                batch.append(row)
                longest = width
        chosen = {id(row) for row in batch}
        self.running = deque([row for row in self.running if id(row) not in chosen] + batch)
        return batch

    def stop(self, row: RowT) -> None:
        """Take a row out of the running ones; its place stays held until `release`."""
        self.running.remove(row)

    def release(self, entry: EntryT) -> None:
        """Give back the places of a request that is finished, failed or cancelled."""
        if entry in self.waiting:
            self.waiting.remove(entry)
        self._held -= entry.rows
