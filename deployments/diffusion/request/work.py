"""The device's work: what it will take, and what a request tells of it on its way."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

SMOOTHING = 0.1  # weight of the newest measurement in a running mean


@dataclass(frozen=True, slots=True)
class Work:
    """Device work to come. forwards: to take part in; token_steps: transformer tokens in them,
    summed; pair_steps: pairs of tokens that attend to each other; pixels: to decode.
    """

    forwards: int = 0
    token_steps: int = 0
    pair_steps: int = 0
    pixels: int = 0

    @classmethod
    def of(cls, sequences: Iterable[int], steps: int, pixels: int = 0) -> Self:
        """Of one picture. sequences: tokens of each that a forward takes of it: all within one
        attend to each other.
        """
        lengths = list(sequences)
        return cls(steps, sum(lengths) * steps, sum(n * n for n in lengths) * steps, pixels)

    def __add__(self, other: Self) -> "Work":
        return Work(
            self.forwards + other.forwards,
            self.token_steps + other.token_steps,
            self.pair_steps + other.pair_steps,
            self.pixels + other.pixels,
        )

    def times(self, count: int) -> "Work":
        """The work of `count` such pictures."""
        return Work(
            self.forwards * count,
            self.token_steps * count,
            self.pair_steps * count,
            self.pixels * count,
        )


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
