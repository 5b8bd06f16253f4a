"""From final latents to pictures: beside the device thread where there is a lane, else by it."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deployments.diffusion.engine.clock import DeviceClock
from deployments.diffusion.engine.lane import Lane
from deployments.diffusion.engine.preparation import paste_back
from deployments.diffusion.families import Family
from deployments.diffusion.memory import Recovery, attempt, is_out_of_memory
from deployments.diffusion.request import CostModel, Row

Picture = NDArray[np.uint8]


class Decoded(NamedTuple):
    """A row and its picture, or what was raised."""

    row: Row
    outcome: Picture | Exception


class Decoder:
    """For the device thread alone. cost: learns how long decoding takes of the device."""

    def __init__(
        self,
        family: Family,
        recovery: Recovery,
        lane: Lane[Picture],
        clock: DeviceClock,
        cost: CostModel,
    ) -> None:
        self._family = family
        self._recovery = recovery
        self._lane = lane
        self._clock = clock
        self._cost = cost
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
        if not isinstance(done.outcome, Exception):  # half: the device thread was busy as well
            self._cost.observe_decode(row.passes[0].pixels, done.seconds / 2)
        return Decoded(row, done.outcome)

    def decode(self, row: Row) -> Decoded:
        """Decode the row here, with all that is done when memory does not suffice."""
        pixels = row.passes[0].pixels
        work = partial(self._timed, row, pixels)
        outcome = attempt(lambda: self._recovery.by_vae("decode", row.request, pixels, work))
        return Decoded(row, outcome)

    def _timed(self, row: Row, pixels: int, *, tiled: bool = False) -> Picture:
        """The row's picture, decoded by the device thread."""

        def learn(seconds: float) -> None:
            self._cost.observe_decode(pixels, self._lane.device_s(seconds))

        with self._clock.timing(learn):
            return self._picture(row, tiled=tiled)

    def _picture(self, row: Row, *, tiled: bool = False) -> Picture:
        """What the latents show, and of an edit what its mask protects."""
        return paste_back(self._family.decode(row.latents, tiled=tiled), row.request.given)
