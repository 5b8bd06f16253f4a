"""What letters and plaques are filled with: one colour or a gradient, laid on the canvas."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess import contrast
from deployments.postprocess.contrast import Colour
from deployments.postprocess.geometry import Rect
from deployments.postprocess.typography import Fill, Gradient


@dataclass(frozen=True, slots=True)
class Ramp:
    """A linear gradient laid on the canvas. angle: degrees, 0 upwards, 90 to the right.

    At `centre` it is half way; it takes `length` pixels from `start` to `end`.
    """

    start: Colour
    end: Colour
    angle: float
    centre: tuple[float, float]
    length: float

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.uint8]:
        """The colours uint8 (..., 3) of these pixels; rows and columns broadcast."""
        turn = math.radians(self.angle)
        along = (columns + 0.5 - self.centre[0]) * math.sin(turn)
        along = along - (rows + 0.5 - self.centre[1]) * math.cos(turn)
        share = np.clip(along / self.length + 0.5, 0.0, 1.0)[..., None]
        start, end = np.array(self.start, np.float64), np.array(self.end, np.float64)
        return np.asarray(start + (end - start) * share + 0.5, np.float64).astype(np.uint8)


Ink = Colour | Ramp


def lay(fill: Fill, box: Rect, rotate: float) -> Ink:
    """`fill`, which is not "auto", over `box` turned by `rotate` degrees about its centre.

    As in CSS the corners of the box have the colours of the ends.
    """
    if not isinstance(fill, Gradient):
        return contrast.parse(fill)
    turn = math.radians(fill.angle)
    length = box.width * abs(math.sin(turn)) + box.height * abs(math.cos(turn))
    return Ramp(
        contrast.parse(fill.start),
        contrast.parse(fill.end),
        fill.angle + rotate,
        (box.x + box.width / 2, box.y + box.height / 2),
        max(1.0, length),
    )


def tones(ink: Ink, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> contrast.Colours:
    """What `ink` looks like at these pixels of the canvas; rows and columns broadcast."""
    return ink.at(rows, columns) if isinstance(ink, Ramp) else ink


def ends(ink: Ink) -> tuple[Colour, ...]:
    """The colours that bound all others of `ink`."""
    return (ink.start, ink.end) if isinstance(ink, Ramp) else (ink,)


def opposite(ink: Ink) -> Colour:
    """Black or white, whichever stands out more from the worse end of `ink`."""
    return max(
        (contrast.BLACK, contrast.WHITE),
        key=lambda colour: min(contrast.between(colour, end) for end in ends(ink)),
    )


def name(ink: Ink) -> str:
    """As CSS writes it: "#rrggbb" or "linear-gradient(90deg, #rrggbb, #rrggbb)"."""
    if isinstance(ink, Ramp):
        return (
            f"linear-gradient({ink.angle:g}deg, {contrast.to_hex(ink.start)}, "
            f"{contrast.to_hex(ink.end)})"
        )
    return contrast.to_hex(ink)
