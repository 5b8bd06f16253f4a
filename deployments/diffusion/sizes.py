"""Sizes: of pictures, in pixels on a grid, and of memory, in bytes."""

import math
import re
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from deployments.errors import InvalidValue

Size = Annotated[str, Field(pattern=r"^[1-9]\d{1,4}x[1-9]\d{1,4}$")]
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def parse_size(size: str) -> tuple[int, int]:
    """ "WxH" as (width, height) in pixels."""
    width, _, height = size.partition("x")
    return int(width), int(height)


def parse_bytes(size: str | int) -> int:
    """ "22.5GiB" as bytes; a whole number is bytes already. Raises ValueError."""
    if isinstance(size, str):
        said = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]i?B)", size)
        if said is None:
            raise ValueError(f"{size!r} is no size: write 22.5GiB or 24GB, with {', '.join(UNITS)}")
        size = int(float(said[1]) * UNITS[said[2]])
    if size <= 0:
        raise ValueError("a size must be above 0")
    return size


ByteSize = Annotated[int, BeforeValidator(parse_bytes)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SizeRange(Strict):
    """Sizes that may be asked for; both sides are multiples of `multiple` pixels."""

    multiple: int = Field(gt=0)
    min_side: int = Field(gt=0)
    max_side: int = Field(gt=0)
    max_pixels: int = Field(gt=0)
    default: Size
    recommended: tuple[Size, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_possible_sizes(self) -> Self:
        for size in (self.default, *self.recommended):
            try:
                self.check(*parse_size(size))
            except InvalidValue as error:
                raise ValueError(f"sizes: {error}") from None
        return self

    @property
    def recommended_pixels(self) -> tuple[tuple[int, int], ...]:
        """The recommended sizes as (width, height)."""
        return tuple(parse_size(size) for size in self.recommended)

    def nearest(self, aspect: float) -> tuple[int, int]:
        """The recommended size whose width / height is nearest to `aspect`, by ratio."""
        return min(self.recommended_pixels, key=lambda s: abs(math.log(s[0] / s[1] / aspect)))

    def check(self, width: int, height: int) -> None:
        """Raise InvalidValue("size") unless width x height pixels can be drawn."""
        hint = f"for example {', '.join(self.recommended[:3])}"
        for side in (width, height):
            if side % self.multiple:
                raise InvalidValue(
                    f"size: {width}x{height} is off the grid: both sides must be multiples of "
                    f"{self.multiple}, {hint}",
                    "size",
                    "size_off_grid",
                )
            if not self.min_side <= side <= self.max_side:
                raise InvalidValue(
                    f"size: the sides of {width}x{height} must lie between {self.min_side} and "
                    f"{self.max_side}, {hint}",
                    "size",
                    "size_out_of_range",
                )
        if width * height > self.max_pixels:
            raise InvalidValue(
                f"size: {width}x{height} has more than {self.max_pixels} pixels, {hint}",
                "size",
                "size_out_of_range",
            )
