"""What a client may ask of letters beyond their role: fills, strokes, shadows and spans.

Lengths are in ems of the layer's font size, so that they hold at whatever size has room.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from deployments.postprocess.schema.colour import Hex, HexOrAuto

Weight = Annotated[int, Field(ge=100, le=900)]


class Strict(BaseModel):
    """The base of all that a client may send: nothing unknown, coerced or infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Gradient(Strict):
    """From one colour to another; `angle` in degrees as CSS has it: 0 upwards, 90 to the right."""

    # The wire's name is a keyword of Python's.
    model_config = ConfigDict(validate_by_name=False, serialize_by_alias=True)

    type: Literal["linear"] = "linear"
    start: Hex = Field(alias="from")
    end: Hex = Field(alias="to")
    angle: Annotated[float, Field(ge=-360, le=360)] = 90.0


Fill = HexOrAuto | Gradient


class Stroke(Strict):
    """A line around the letters, under their fill. `width`: how far it reaches beyond them.

    `auto` is black or white, whichever stands out more from the fill.
    """

    colour: HexOrAuto = "auto"
    width: Annotated[float, Field(ge=0.01, le=0.2)] = 0.06


class Shadow(Strict):
    """A shadow of the letters and their stroke, moved by (x, y); `blur` as CSS has it."""

    x: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.0
    y: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.05
    blur: Annotated[float, Field(ge=0, le=1)] = 0.15
    colour: Hex = "#000000"
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.5


class Span(Strict):
    """A stretch of a layer's words that is set in its own way; all spans share a baseline.

    `scale`: of the layer's font size. `weight` and `fill`: the layer's where None.
    """

    text: Annotated[str, Field(min_length=1, max_length=300)]
    scale: Annotated[float, Field(ge=0.3, le=2)] = 1.0
    weight: Weight | None = None
    fill: Fill | None = None
    strike: bool = False
    underline: bool = False
