"""How long each phase of a start took."""

import time
from collections.abc import Mapping


class Phases:
    """Seconds from one named moment to the next; the first is counted from the making of this."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def end(self, name: str) -> None:
        """The phase `name` is over, and the next one begins."""
        now = time.perf_counter()
        self.seconds[name] = now - self._since
        self._since = now


def told(seconds: Mapping[str, float]) -> str:
    """As a log says it: the sum, then each phase."""
    parts = ", ".join(f"{name} {took:.2f}" for name, took in seconds.items())
    return f"{sum(seconds.values()):.2f} s: {parts}"
