"""The device's work: what it will take, and what a request tells of it on its way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a request is.

    step of steps: of its slowest picture; steps is None until it has begun. position: pictures
    queued before it. eta_s: seconds until it should be drawn, predicted.
    """

    step: int
    steps: int | None
    position: int
    eta_s: float


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture as it seems to become, from `step` steps: uint8 (h, w, 3) at the latents' size.

    picture: which of the request's n. index: the how manieth preview of that picture, from 0.
    """

    picture: int
    index: int
    step: int
    pixels: NDArray[np.uint8]


Event = Progress | Preview


Sink = Callable[[Event], None]  # called on the device thread: it must not block
