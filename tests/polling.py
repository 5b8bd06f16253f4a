"""Waiting for something to hold, with a deadline."""

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], object], timeout_s: float, every_s: float = 0.005) -> None:
    """Poll until `holds()` is true; TimeoutError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s")
        time.sleep(every_s)
