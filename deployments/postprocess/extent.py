"""What a backing spans, and the plate and the scrim that span it."""

from dataclasses import dataclass

import numpy as np

from deployments.postprocess import render
from deployments.postprocess.geometry import Rect
from deployments.postprocess.render import Tile

_PLATE_PADDING = 0.024  # of the canvas's short side
_RADIUS = 0.022


@dataclass(frozen=True, slots=True)
class Extent:
    """A box on a canvas of height x width, in pixels, to be turned by `rotate` degrees."""

    box: Rect
    rotate: float
    height: int
    width: int

    def plate(self) -> Tile:
        short = min(self.height, self.width)
        box = self.box.grow(_PLATE_PADDING * short)
        if not self.rotate:
            box = box.clip(Rect(0, 0, self.width, self.height))
        return render.turned(box, _RADIUS * short, self.rotate, box)

    def scrim(self) -> tuple[Tile, float]:
        """A gradient from the nearest side to beyond the box, and the share of canvas it covers."""
        height, width, box = self.height, self.width, self.box.turned(self.rotate)
        reaches = {
            "top": box.bottom / height,
            "bottom": 1 - box.y / height,
            "left": box.right / width,
            "right": 1 - box.x / width,
        }
        side = min(reaches, key=lambda name: reaches[name])
        length = height if side in ("top", "bottom") else width
        solid = reaches[side] * length
        fall = max(0.18 * length, 0.3 * solid)
        distance = np.arange(length, dtype=np.float32)
        if side in ("bottom", "right"):
            distance = distance[::-1]
        ramp = np.clip((solid + fall - distance) / fall, 0.0, 1.0)
        profile = (255 * ramp * ramp * (3 - 2 * ramp) + 0.5).astype(np.uint8)
        first, last = np.flatnonzero(profile)[[0, -1]]
        profile = profile[first : last + 1]  # beyond it there is nothing to paint
        if side in ("top", "bottom"):
            mask = np.broadcast_to(profile[:, None], (len(profile), width))
            return Tile(np.ascontiguousarray(mask), 0, int(first)), reaches[side]
        mask = np.broadcast_to(profile[None, :], (height, len(profile)))
        return Tile(np.ascontiguousarray(mask), int(first), 0), reaches[side]
