"""From final latents to pictures: beside the device thread where there is a lane, else by it."""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deployments.diffusion.engine.lane import Lane
from deployments.diffusion.engine.preparation import paste_back
from deployments.diffusion.families import Family
from deployments.diffusion.memory import Recovery, attempt, is_out_of_memory
from deployments.diffusion.request import Row

Picture = NDArray[np.uint8]


class Decoded(NamedTuple):
    """A row and its picture, or what was raised. device_s: seconds that it took of the device."""

    row: Row
    outcome: Picture | Exception
    device_s: float


class Decoder:
    """For the device thread alone."""

    def __init__(self, family: Family, recovery: Recovery, lane: Lane[Picture]) -> None:
        self._family = family
        self._recovery = recovery
        self._lane = lane
        self._row: Row | None = None  # that the lane has

    def begin(self, row: Row, tell: Callable[[], None]) -> None:
        """Give the row to the lane, which must be free; `tell` as in `Lane.give`."""
        self._row = row
        self._lane.give(partial(self._picture, row), tell)

    def take(self) -> Decoded | None:
        """The row that the lane is done with, if there is one."""
        done, row = self._lane.take(), self._row
        if done is None or row is None:
            return None
        self._row = None
        if is_out_of_memory(done.outcome) and not row.request.future.done():
            return self.decode(row)
        return Decoded(row, done.outcome, done.seconds / 2)  # the device thread was busy as well

    def decode(self, row: Row) -> Decoded:
        """Decode the row here, with all that is done when memory does not suffice."""
        began = time.perf_counter()
        pixels = row.passes[0].pixels
        work = partial(self._picture, row)
        outcome = attempt(lambda: self._recovery.by_vae("decode", row.request, pixels, work))
        return Decoded(row, outcome, self._lane.device_s(time.perf_counter() - began))

    def _picture(self, row: Row, *, tiled: bool = False) -> Picture:
        """What the latents show, and of an edit what its mask protects."""
        return paste_back(self._family.decode(row.latents, tiled=tiled), row.request.given)
