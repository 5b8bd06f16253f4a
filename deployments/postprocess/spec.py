"""What a client may ask of the words: the overlay, the placements and the output formats.

All boxes are fractions of the canvas (the picture after it was cut to its placement), except
`avoid` and `protect`, which mark things in the picture itself and follow it into every placement.
Sizes are fractions of the canvas's short side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.errors import InvalidValue

Fraction = Annotated[float, Field(ge=0, le=1)]
Role = Literal["headline", "sub", "price", "cta", "legal", "badge", "custom"]
Backing = Literal["auto", "none", "shadow", "outline", "scrim", "plate"]
Align = Literal["auto", "start", "center", "end"]
Anchor = Literal[
    "top_left", "top", "top_right", "left", "center", "right",
    "bottom_left", "bottom", "bottom_right",
]  # fmt: skip


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Box(Strict):
    """A box inside the unit square, from its top left corner."""

    x: Fraction
    y: Fraction
    width: Annotated[float, Field(gt=0, le=1)]
    height: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _inside(self) -> "Box":
        if self.x + self.width > 1 + 1e-6 or self.y + self.height > 1 + 1e-6:
            raise ValueError("a box must end inside the canvas: x + width <= 1, y + height <= 1")
        return self


class SafeArea(Strict):
    """How much to keep clear at each side, as fractions of the canvas's height or width."""

    top: Annotated[float, Field(ge=0, le=0.45)] = 0.0
    right: Annotated[float, Field(ge=0, le=0.45)] = 0.0
    bottom: Annotated[float, Field(ge=0, le=0.45)] = 0.0
    left: Annotated[float, Field(ge=0, le=0.45)] = 0.0


class Size(Strict):
    """The range of a font size, as fractions of the canvas's short side."""

    min: Annotated[float, Field(ge=0.015, le=0.5)]
    max: Annotated[float, Field(ge=0.015, le=0.5)]

    @model_validator(mode="after")
    def _ordered(self) -> "Size":
        if self.min > self.max:
            raise ValueError("min must not exceed max")
        return self


class TextLayer(Strict):
    """Words of one role. Without `box` the layer joins the stack that `position` places.

    `fit`: shrink (from size.max towards size.min), clamp (as shrink, then end with an ellipsis),
    strict (size.max or a problem). `font` is auto or a family of those that there are. `dir`: auto
    lets each paragraph's first letter decide. `line_break`: keep_all breaks at spaces only,
    anywhere also between characters of Hangul, Han and kana, phrase between the phrases of
    Japanese, Chinese and Thai; auto does what suits the language. `fill` is the colour of the
    words; of a cta or badge it is the colour of the pill, whose words are black or white,
    whichever reads better.
    """

    type: Literal["text"] = "text"
    role: Role
    text: Annotated[str, Field(min_length=1, max_length=300)]
    lang: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = None
    dir: Literal["auto", "ltr", "rtl"] = "auto"
    line_break: Literal["auto", "keep_all", "anywhere", "phrase"] = "auto"
    font: Annotated[str, Field(min_length=1, max_length=100)] = "auto"
    weight: Annotated[int, Field(ge=100, le=900)] | None = None
    size: Size | None = None
    fit: Literal["shrink", "clamp", "strict"] = "shrink"
    max_lines: Annotated[int, Field(ge=1, le=20)] | None = None
    align: Align = "auto"
    fill: Annotated[str, Field(pattern=r"^(auto|#[0-9a-fA-F]{6})$")] = "auto"
    backing: Backing = "auto"
    box: Box | None = None


class OverlaySpec(Strict):
    """The words of one advert. `protect` boxes are never covered, `avoid` boxes rather not."""

    version: Literal[1] = 1
    layers: Annotated[list[TextLayer], Field(min_length=1, max_length=12)]
    position: Literal["auto"] | Anchor | Box = "auto"
    avoid: Annotated[list[Box], Field(max_length=32)] = Field(default_factory=list)
    protect: Annotated[list[Box], Field(max_length=32)] = Field(default_factory=list)
    safe_area: SafeArea | None = None
    min_contrast: Annotated[float, Field(ge=1, le=21)] = 4.5
    on_problem: Literal["warn", "fail"] = "warn"
    ai_label: Literal["none", "visible"] = "none"


@dataclass(frozen=True, slots=True)
class Placement:
    """A format that adverts are shown in: pixels, and pixels to keep clear at top and bottom."""

    width: int
    height: int
    clear: int = 0


PLACEMENTS: Mapping[str, Placement] = MappingProxyType(
    {
        "feed_square": Placement(1080, 1080),
        "feed_portrait": Placement(1080, 1350),
        "story": Placement(1080, 1920, clear=250),
        "market": Placement(1000, 1000),
        "video": Placement(1920, 1080),
        "banner": Placement(1200, 628),
        "a4": Placement(2480, 3508),
    }
)


def find_placement(name: str) -> Placement:
    """The placement called `name`; raises InvalidValue naming all that exist."""
    if name not in PLACEMENTS:
        raise InvalidValue(
            f"Unknown placement {name!r}; choose one of {', '.join(PLACEMENTS)}.",
            "placement",
            "unknown_placement",
        )
    return PLACEMENTS[name]


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
