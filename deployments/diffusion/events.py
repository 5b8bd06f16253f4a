"""What a request tells on its way: how far it is, and how its pictures begin to look."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
