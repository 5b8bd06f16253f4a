"""What a client may ask of the words: the overlay, the placements and the output formats.

All boxes are fractions of the canvas (the picture after it was cut to its placement), except
`avoid`, `protect` and `copy_space`, which mark things in the picture itself and follow it into
every placement.
Sizes are fractions of the canvas's short side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, model_validator

from deployments.errors import InvalidValue
from deployments.postprocess.strict import Strict as Strict
from deployments.postprocess.typography import Fill, Shadow, Span, Stroke, Weight

Fraction = Annotated[float, Field(ge=0, le=1)]
Role = Literal["headline", "sub", "price", "cta", "legal", "badge", "custom"]
Backing = Literal["auto", "none", "shadow", "outline", "scrim", "plate", "glass"]
Align = Literal["auto", "start", "center", "end"]
Side = Literal["left", "right", "top", "bottom"]
Extension = Literal["auto", "blur", "colour"]
Font = Literal["auto", "Noto Sans KR", "Noto Sans JP", "Noto Sans SC", "Noto Sans TC"]
Anchor = Literal[
    "top_left", "top", "top_right", "left", "center", "right",
    "bottom_left", "bottom", "bottom_right",
]  # fmt: skip


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
    """Words of one role, as `text` or as `spans`, which are read as one string.

    Without `box` the layer joins the stack that `position` places.

    `fit`: shrink (from size.max towards size.min), clamp (as shrink, then end with an ellipsis),
    strict (size.max or a problem). `fill` is the colour of the words; of a cta or badge it is the
    colour of the pill, whose words are black or white, whichever reads better. `rotate`: degrees
    clockwise about the layer's centre.
    """

    type: Literal["text"] = "text"
    role: Role
    text: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    spans: Annotated[list[Span], Field(min_length=1, max_length=8)] | None = None
    lang: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = None
    font: Font = "auto"
    weight: Weight | None = None
    size: Size | None = None
    fit: Literal["shrink", "clamp", "strict"] = "shrink"
    max_lines: Annotated[int, Field(ge=1, le=20)] | None = None
    align: Align = "auto"
    fill: Fill = "auto"
    stroke: Stroke | None = None
    shadows: Annotated[list[Shadow], Field(max_length=3)] = Field(default_factory=list)
    backing: Backing = "auto"
    rotate: Annotated[float, Field(ge=-30, le=30)] = 0.0
    box: Box | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "TextLayer":
        if (self.text is None) == (self.spans is None):
            raise ValueError("a text layer takes either `text` or `spans`, exactly one of them")
        if len(self.words) > 300:
            raise ValueError("the texts of all spans together must not exceed 300 characters")
        return self

    @property
    def words(self) -> str:
        """All that is to be read, whether it came as text or as spans."""
        return self.text or "".join(span.text for span in self.spans or ())


class OverlaySpec(Strict):
    """The words of one advert. `protect` boxes are never covered, `avoid` boxes rather not.

    `template` and `brand` are names that /v1/capabilities lists: a layout that says where each
    role stands and how it looks, and the faces and colours of a sender.
    `ai_label`: words that say that a model made the picture, in the language of the copy: on it
    (visible), in its file's description (metadata), in both or in neither. IPTC's digital source
    type, which machines read, is in every file. `copy_space`: the half or the box of the picture
    that was left empty for the words; they stand there unless they cannot. `layouts`: how many
    arrangements of the same words to make, each in another place, the best first.
    """

    version: Literal[1] = 1
    layers: Annotated[list[TextLayer], Field(min_length=1, max_length=12)]
    position: Literal["auto"] | Anchor | Box = "auto"
    avoid: Annotated[list[Box], Field(max_length=32)] = Field(default_factory=list)
    protect: Annotated[list[Box], Field(max_length=32)] = Field(default_factory=list)
    copy_space: Side | Box | None = None
    safe_area: SafeArea | None = None
    template: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    brand: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    layouts: Annotated[int, Field(ge=1, le=3)] = 1
    min_contrast: Annotated[float, Field(ge=1, le=21)] = 4.5
    on_problem: Literal["warn", "fail"] = "warn"
    ai_label: Literal["none", "visible", "metadata", "both"] = "none"

    @model_validator(mode="after")
    def _one_places_the_words(self) -> "OverlaySpec":
        if self.template is not None and self.position != "auto":
            raise ValueError(
                "position: the template places the words; leave position out, or the template"
            )
        return self


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
