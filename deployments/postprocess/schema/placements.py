"""What files are made: the placements that adverts are shown in, and the output formats."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from deployments.errors import InvalidValue

Extension = Literal["auto", "blur", "colour"]
MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}
FORMATS = tuple(name.upper() for name in MEDIA_TYPES)
"""As Pillow names them: what is written is also what is taken."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A format that adverts are shown in: pixels, and pixels to keep clear at top and bottom.

    dpi: of a format that is printed, pixels an inch, which its files carry.
    """

    width: int
    height: int
    clear: int = 0
    dpi: int | None = None


PLACEMENTS: Mapping[str, Placement] = MappingProxyType(
    {
        "feed_square": Placement(1080, 1080),
        "feed_portrait": Placement(1080, 1350),
        "story": Placement(1080, 1920, clear=250),
        "market": Placement(1000, 1000),
        "video": Placement(1920, 1080),
        "banner": Placement(1200, 628),
        "a4": Placement(2480, 3508, dpi=300),
    }
)

_SIDE = r"(6[4-9]|[7-9]\d|[1-9]\d\d|[1-3]\d{3}|40[0-8]\d|409[0-6])"  # 64 to 4096
SIZE = re.compile(f"{_SIDE}x{_SIDE}", re.ASCII)
"""A size that a file may have, "WIDTHxHEIGHT" in pixels."""


def find_placement(name: str, field: str = "placement") -> Placement:
    """The placement called `name`, or the one of a size.

    Raises InvalidValue for `field`, naming all that exist, and what sizes may be.
    """
    if name in PLACEMENTS:
        return PLACEMENTS[name]
    size = SIZE.fullmatch(name)
    if size is None:
        raise InvalidValue(
            f"{field}: no {name!r}; choose one of {', '.join(PLACEMENTS)}, or write WIDTHxHEIGHT "
            "of 64 to 4096 pixels each",
            field,
            "unknown_placement",
        )
    return Placement(int(size[1]), int(size[2]))


@dataclass(frozen=True, slots=True)
class Output:
    """A file format. `compression` 0 to 100 is the quality of jpeg, webp and avif.

    None means JPEG at quality 92, AVIF at 80, lossless WebP. Raises InvalidValue for a PNG with
    another compression than 100, which is what OpenAI's API allows.
    """

    format: Literal["png", "jpeg", "webp", "avif"] = "png"
    compression: int | None = None

    def __post_init__(self) -> None:
        if self.compression is None:
            return
        if not 0 <= self.compression <= 100:
            raise InvalidValue(
                f"output_compression must be 0 to 100, not {self.compression}.",
                "output_compression",
                "invalid_value",
            )
        if self.format == "png" and self.compression != 100:
            raise InvalidValue(
                "output_compression below 100 is supported for jpeg, webp and avif; "
                "png is lossless. Leave it out or choose another output_format.",
                "output_compression",
                "unsupported_value",
            )
