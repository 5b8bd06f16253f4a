"""Trying: what came of a piece of device work, and when to try again what did not work.

Whatever is tried again is tried outside of `except`: a traceback keeps the tensors of its frames
alive, and with them the memory that may be missing.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import torch

OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
"""How allocators that raise a plain RuntimeError say it."""

QUIET_S = 60.0  # without any shortage, before the first try
MOST_S = 3600.0  # that a pause may last; after so long without need everything is forgotten

T = TypeVar("T")


def attempt(work: Callable[[], T]) -> T | Exception:
    """What `work` returns, or what it raises, with nothing of its frames kept alive."""
    try:
        return work()
    except Exception as error:
        return without_frames(error)


def is_out_of_memory(outcome: object) -> bool:
    """Whether the outcome of an attempt is that memory did not suffice, on any device."""
    if isinstance(outcome, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(outcome, RuntimeError) and any(
        words in str(outcome) for words in OUT_OF_MEMORY
    )


def is_device_error(outcome: object) -> bool:
    """Whether the outcome of an attempt is that the device has failed, not the work.

    After an illegal access, an Xid or an ECC error every later call of the process fails as well.
    Libraries on the device (cuBLAS, cuDNN) raise plain RuntimeErrors then, which tell nothing.
    """
    return isinstance(outcome, torch.AcceleratorError) and not is_out_of_memory(outcome)


def without_frames(error: Exception) -> Exception:
    """The error without its traceback, which would keep tensors alive."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


class BackOff:
    """When to try again what does not work for now, such as a batch of its full size: after a quiet
    while, twice as long each time that it was too early.

    For one thread; others may read. clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause_s = QUIET_S
        self._until: float | None = None
        self._ended: float | None = None  # when it was last tried again

    @property
    def left_s(self) -> float:
        """Seconds until it is tried again, if all is quiet until then; 0 where nothing is wrong."""
        until = self._until
        return 0.0 if until is None else max(0.0, until - self._clock())

    @property
    def due(self) -> bool:
        """Whether it is to be tried again."""
        return self._until is not None and self._clock() >= self._until

    def begin(self) -> None:
        """It did not work: pause, for twice as long if it was tried again within the last hour."""
        if self.due:
            self.end()
        now = self._clock()
        if self._until is None:
            early = self._ended is not None and now - self._ended < MOST_S
            self._pause_s = min(2 * self._pause_s, MOST_S) if early else QUIET_S
        self._until = now + self._pause_s

    def extend(self) -> None:
        """There was a shortage: what is paused waits for a whole quiet while again."""
        if self._until is not None:
            self._until = self._clock() + self._pause_s

    def end(self) -> None:
        """It works again, or is tried."""
        if self._until is not None:
            self._until, self._ended = None, self._clock()
