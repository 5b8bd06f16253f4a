"""A start of the engine: its libraries imported in one go, and how long each part took."""

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

LOAD_LIMIT_S = 1800.0  # a replica whose load takes longer joins as it is


@contextmanager
def in_one_go() -> Iterator[None]:
    """Import in the block: nothing looks for garbage meanwhile, nor ever in what is there then.

    Modules stay: a search through their hundreds of thousands of objects finds nothing, again and
    again while they are imported, and later whenever garbage is collected between requests.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class StartTimes:
    """Seconds from one named moment to the next; the first is counted from the making of this."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def end(self, name: str) -> None:
        """The phase `name` is over, and the next one begins."""
        now = time.perf_counter()
        self.seconds[name] = now - self._since
        self._since = now


def describe(seconds: Mapping[str, float]) -> str:
    """As a log says it: the sum, then each phase."""
    parts = ", ".join(f"{name} {took:.2f}" for name, took in seconds.items())
    return f"{sum(seconds.values()):.2f} s: {parts}"
