"""How long pieces of work take the device, learnt without waiting for it.

What is asked of a GPU returns before it is done: a wall clock would tell how long it took to ask.
So marks are put into the device's own queue, before and behind the work, and read once it has come
past them. A CPU does at once what it is asked; its marks are readings of the wall clock.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol, Self

import torch


class Mark(Protocol):
    """A moment in the device's queue of work; `torch.cuda.Event` is one."""

    def record(self) -> Any:
        """Put it behind all that was asked for so far."""
        ...

    def query(self) -> bool:
        """Whether the device has come past it."""
        ...

    def synchronize(self) -> Any:
        """Wait until it has."""
        ...

    def elapsed_time(self, end: Any) -> float:
        """Milliseconds of the device from here to `end`, both past."""
        ...


class WallMark:
    """A moment of a device that does at once what it is asked."""

    def __init__(self) -> None:
        self._at = 0.0

    def record(self) -> None:
        self._at = time.perf_counter()

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        return None

    def elapsed_time(self, end: Self) -> float:
        return (end._at - self._at) * 1e3


class _Timed(NamedTuple):
    begin: Mark
    end: Mark
    tell: Callable[[float], None]


class DeviceClock:
    """Times the device thread's work. For that thread alone."""

    def __init__(self, mark: Callable[[], Mark]) -> None:
        """mark: makes one."""
        self._mark = mark
        self._pending: deque[_Timed] = deque()

    @classmethod
    def of(cls, device: torch.device) -> Self:
        """The clock of a CUDA device, or of the CPU."""
        cuda = device.type == "cuda"
        return cls(partial(torch.cuda.Event, enable_timing=True) if cuda else WallMark)

    @contextmanager
    def timing(self, tell: Callable[[float], None]) -> Iterator[None]:
        """Have `tell` told the seconds that the device takes for what is asked of it within.

        At once where it is done by then, else by a later `collect`; never of what raises. Until
        then `tell` is kept: it should hold no tensors.
        """
        begin, end = self._mark(), self._mark()
        begin.record()
        yield
        end.record()
        self._pending.append(_Timed(begin, end, tell))
        self.collect()

    def collect(self) -> None:
        """Tell what is known by now; waits for nothing."""
        while self._pending and self._pending[0].end.query():
            done = self._pending.popleft()
            done.tell(done.begin.elapsed_time(done.end) / 1e3)

    def wait(self) -> None:
        """Tell all, waiting for the device."""
        for timed in self._pending:
            timed.end.synchronize()
        self.collect()
