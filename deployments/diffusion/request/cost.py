"""How long the device takes for its work, learnt from how long it took."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from deployments.diffusion.request.work import SMOOTHING, Work, smooth

Sizes = NDArray[np.float64]
STEADY = 0.01  # least weight of the newest measurement of a kind; the first hundred count alike
MOST = 4.0  # times what was predicted; what took longer was held up by something else


class CostModel:
    """Seconds of a step, by its tokens and by pairs of them, and of a decoded pixel.

    A forward takes a + b x tokens + c x pairs: what it takes whatever it computes, the matrices
    that each token goes through, and attention, where each meets every other (`signboard bench
    steps`); none is below 0. `a` is predicted for every row, also for those that share forwards.
    Until a first measurement nothing is predicted to take time; with fewer than three kinds of
    forward it is shared between the three as evenly as they allow.

    a, b and c are fitted through a mean for each kind of forward, an octave of rows and lengths:
    the least relative errors squared, each kind counting alike, so that a rare one is not
    forgotten for many others. On top of that the device's speed is a mean over the newest. All
    these means are of logarithms: what the speed explains then never wanders into a kind's mean.

    The device thread observes; other threads may read a prediction one measurement old.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[int, int], _Mean] = {}
        self._fitted_s: Sizes = np.zeros(3)  # a, b, c
        self._slowness = 1.0
        self._pixel_s: float | None = None

    def observe_step(self, forward: Work, seconds: float) -> None:
        """A forward, as `Work` of one step with padding included, took `seconds`."""
        if seconds <= 0:
            return  # less than the clock can tell
        predicted = self.seconds(forward)
        slowness = self._slowness
        if predicted:
            seconds = min(seconds, MOST * predicted)
            self._slowness *= (seconds / predicted) ** SMOOTHING
        length = forward.pair_steps // forward.token_steps
        kind = (forward.token_steps.bit_length(), length.bit_length())
        mean = self._kinds.setdefault(kind, _Mean())
        mean.add(np.log([*_sizes(forward), seconds / slowness]))
        self._fitted_s = _fit(self._kinds.values())

    def observe_decode(self, pixels: int, seconds: float) -> None:
        """Decoding a picture of `pixels` pixels took `seconds`."""
        self._pixel_s = smooth(self._pixel_s, seconds / pixels)

    def seconds(self, work: Work) -> float:
        """How long the device will be busy with `work`."""
        steps_s = self._slowness * float(_sizes(work) @ self._fitted_s)
        return steps_s + work.pixels * (self._pixel_s or 0.0)


class _Mean:
    """Of the forwards of one kind: of the logarithms of their sizes and seconds."""

    def __init__(self) -> None:
        self.logs: Sizes = np.zeros(4)
        self._weight = 1.0

    def add(self, logs: Sizes) -> None:
        self.logs = self.logs + self._weight * (logs - self.logs)
        self._weight = max(STEADY, self._weight / (1 + self._weight))


def _sizes(work: Work) -> Sizes:
    """What the time of steps grows with."""
    return np.array([work.forwards, work.token_steps, work.pair_steps], dtype=np.float64)


def _fit(means: Collection[_Mean]) -> Sizes:
    """The coefficients of the least sum of squared relative errors, none below 0."""
    *sizes, seconds = np.exp([mean.logs for mean in means]).T
    scale = np.max(sizes, axis=1)  # the terms are many orders of magnitude apart
    relative = (np.transpose(sizes) / scale) / seconds[:, None]
    used, found = np.arange(3), np.zeros(3)
    while True:
        part = np.linalg.lstsq(relative[:, used], np.ones(len(relative)))[0]
        if part.min() >= 0:
            found[used] = part / scale[used]
            return found
        used = np.delete(used, part.argmin())
