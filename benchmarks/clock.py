"""Time spent in named parts of a program, without a trace of it in the program itself."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

Places = Mapping[str, Sequence[tuple[ModuleType, str]]]


class Clock:
    """Seconds by part, of the processor or as `now` tells; what one part spends inside another
    counts there."""

    def __init__(self, now: Callable[[], float] = time.process_time) -> None:
        self._now = now
        self.spent: dict[str, float] = {}
        self._inner = [0.0]

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            began = self._now()
            try:
                return function(*args, **kwargs)
            finally:
                took = self._now() - began
                own = took - self._inner.pop()
                self._inner[-1] += took
                self.spent[part] = self.spent.get(part, 0.0) + own

        return call


@contextmanager
def watch(places: Places, now: Callable[[], float] = time.process_time) -> Iterator[Clock]:
    """Time the functions at `places`, each a module and a name in it, until the block ends."""
    clock = Clock(now)
    kept = [(module, name, getattr(module, name)) for at in places.values() for module, name in at]
    for part, at in places.items():
        for module, name in at:
            setattr(module, name, clock.timed(part, getattr(module, name)))
    try:
        yield clock
    finally:
        for module, name, function in kept:
            setattr(module, name, function)
