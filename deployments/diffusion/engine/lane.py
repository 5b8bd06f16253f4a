"""A second thread on a CPU, for one piece of work beside the device thread's.

Threads that work together on one operation wait for each other at its end, and the longer where
other processes want the cores too; threads that work on different pictures never do. So while
several requests are on their way the device thread computes with half of the device's threads, and
the lane with the other half; a request that is alone has all of them.
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import torch

from deployments.diffusion.memory import attempt

T = TypeVar("T")


class Done(NamedTuple, Generic[T]):
    """outcome: what the work returned or raised. seconds: it took."""

    outcome: T | Exception
    seconds: float


class Lane(Generic[T]):
    """One piece of work at a time. For the device thread alone, but for `done` and `age_s`.

    Its thread ends with each piece of work: a second pool of threads, even an idle one, makes those
    of the device thread sleep between operations, and a step takes twice as long
    (docs/performance.md).
    """

    def __init__(self, threads: int) -> None:
        """threads: of the device; where there is but one the lane is never free."""
        self._threads = threads
        self._half = threads // 2
        self._shared = False
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._done: Done[T] | None = None

    @property
    def busy(self) -> bool:
        """Whether work was given whose outcome is not taken yet."""
        return self._thread is not None

    @property
    def free(self) -> bool:
        """Whether work may be given."""
        return self._shared and not self.busy

    def share(self, several: bool) -> None:
        """Divide the device's threads: in halves while several requests are on their way, or while
        the lane is busy, else all for the device thread."""
        shared = self._half > 0 and (several or self.busy)
        if shared != self._shared:
            self._shared = shared
            torch.set_num_threads(self._threads - self._half if shared else self._threads)

    def device_s(self, seconds: float) -> float:
        """What `seconds` of the device thread cost the device: half while the lane works too."""
        return seconds / 2 if self.busy else seconds

    def done(self) -> bool:
        """Whether there is an outcome to take."""
        return self._done is not None

    @property
    def age_s(self) -> float:
        """Seconds that the lane has been at its work; 0 when it is done, or has none."""
        began = self._began
        return time.monotonic() - began if self.busy and not self.done() else 0.0

    def give(self, work: Callable[[], T], tell: Callable[[], None]) -> None:
        """Begin; the lane's thread calls `tell` when it is done."""
        self._began = time.monotonic()
        run = partial(self._run, work, tell)
        self._thread = threading.Thread(target=run, name="lane", daemon=True)
        self._thread.start()

    def take(self) -> Done[T] | None:
        """What came of the work, once it is done; the lane is free again."""
        done = self._done
        if self._thread is None or done is None:
            return None
        self._thread = self._done = None
        return done

    def join(self, timeout_s: float) -> None:
        """Wait for work that is on its way, so long at most."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self, work: Callable[[], T], tell: Callable[[], None]) -> None:
        torch.set_num_threads(self._half)
        began = time.perf_counter()
        with torch.inference_mode():
            outcome = attempt(work)
        self._done = Done(outcome, time.perf_counter() - began)
        tell()
