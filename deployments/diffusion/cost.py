"""What device work will take, predicted from running means of what it took before. Pure numbers."""

from dataclasses import dataclass
from typing import Self

SMOOTHING = 0.1  # weight of the newest measurement in a running mean


@dataclass(frozen=True, slots=True)
class Work:
    """Device work to come. token_steps: transformer tokens x steps; pixels: to decode."""

    token_steps: int = 0
    pixels: int = 0

    def __add__(self, other: Self) -> "Work":
        return Work(self.token_steps + other.token_steps, self.pixels + other.pixels)

    def times(self, count: int) -> "Work":
        """The work of `count` such pictures."""
        return Work(self.token_steps * count, self.pixels * count)


class CostModel:
    """Seconds a token and a pixel. Until a first measurement nothing is predicted to take time.

    The device thread observes; other threads may read means one measurement old.
    """

    def __init__(self) -> None:
        self._token_s: float | None = None
        self._pixel_s: float | None = None

    def observe_step(self, tokens: int, seconds: float) -> None:
        """One forward over `tokens` tokens, padding included, took `seconds`."""
        self._token_s = smooth(self._token_s, seconds / tokens)

    def observe_decode(self, pixels: int, seconds: float) -> None:
        """Decoding a picture of `pixels` pixels took `seconds`."""
        self._pixel_s = smooth(self._pixel_s, seconds / pixels)

    def seconds(self, work: Work) -> float:
        """How long the device will be busy with `work`."""
        return work.token_steps * (self._token_s or 0.0) + work.pixels * (self._pixel_s or 0.0)


def smooth(mean: float | None, newest: float) -> float:
    """The running mean after one more measurement."""
    return newest if mean is None else (1 - SMOOTHING) * mean + SMOOTHING * newest
