"""Rectangles in pixels of one canvas; x to the right, y downwards."""

import math
from dataclasses import dataclass

Shares = tuple[float, float, float, float]  # x, y, width, height in fractions of a rectangle


@dataclass(frozen=True, slots=True)
class Rect:
    """An upright rectangle; all four numbers in pixels, fractions of a pixel allowed."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    def grow(self, pixels: float) -> "Rect":
        """The rectangle with `pixels` more on each side (less, if negative)."""
        return Rect(
            self.x - pixels, self.y - pixels, self.width + 2 * pixels, self.height + 2 * pixels
        )

    def part(self, box: Shares) -> "Rect":
        """`box` of this rectangle, in the pixels that it is in."""
        x, y, width, height = box
        return Rect(
            self.x + x * self.width,
            self.y + y * self.height,
            width * self.width,
            height * self.height,
        )

    def move(self, dx: float, dy: float) -> "Rect":
        return Rect(self.x + dx, self.y + dy, self.width, self.height)

    def turned(self, degrees: float) -> "Rect":
        """The upright rectangle around this one when it is turned about its middle."""
        if not degrees:
            return self
        cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
        width = self.width * cos + self.height * sin
        height = self.width * sin + self.height * cos
        x = self.x + (self.width - width) / 2
        return Rect(x, self.y + (self.height - height) / 2, width, height)

    def clip(self, other: "Rect") -> "Rect":
        """What both have in common; of zero width or height where they do not meet."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        return Rect(
            x,
            y,
            max(0.0, min(self.right, other.right) - x),
            max(0.0, min(self.bottom, other.bottom) - y),
        )

    def overlaps(self, other: "Rect") -> bool:
        return self.clip(other).area > 0

    def contains(self, other: "Rect", slack: float = 0.0) -> bool:
        return (
            other.x >= self.x - slack
            and other.y >= self.y - slack
            and other.right <= self.right + slack
            and other.bottom <= self.bottom + slack
        )

    def pixels(self) -> tuple[int, int, int, int]:
        """Whole-pixel (left, top, right, bottom) that cover the rectangle."""
        return int(self.x // 1), int(self.y // 1), -int(-self.right // 1), -int(-self.bottom // 1)


def union(rects: list[Rect]) -> Rect:
    """The smallest rectangle around all of `rects`, of which there must be one."""
    x, y = min(r.x for r in rects), min(r.y for r in rects)
    return Rect(x, y, max(r.right for r in rects) - x, max(r.bottom for r in rects) - y)
