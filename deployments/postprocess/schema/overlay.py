"""The overlay: what a client may lay over a picture, words, images and QR codes, and where.

All boxes are fractions of the canvas (the picture after it was cut to its placement), except
`avoid`, `protect` and `copy_space`, which mark things in the picture itself and follow it into
every placement. Sizes are fractions of the canvas's short side.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from deployments.postprocess.schema.colour import Hex, brightness, contrast_between, parse_hex
from deployments.postprocess.schema.image_reference import KEPT, ImageReference
from deployments.postprocess.schema.typography import Fill, Shadow, Span, Strict, Stroke, Weight

MAX_LAYERS = 12
Fraction = Annotated[float, Field(ge=0, le=1)]
Role = Literal["headline", "sub", "price", "cta", "legal", "badge", "custom"]
Backing = Literal["auto", "none", "shadow", "outline", "scrim", "plate", "glass"]
Align = Literal["auto", "start", "center", "end"]
Side = Literal["left", "right", "top", "bottom"]
Font = Annotated[str, Field(min_length=1, max_length=100)]
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

    @property
    def shares(self) -> tuple[float, float, float, float]:
        """(x, y, width, height)."""
        return self.x, self.y, self.width, self.height


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
    strict (size.max or a problem). `font` is auto or a family of those that there are. `dir`: auto
    lets the language decide where letters of both directions stand, else the letters.
    `line_break`: keep_all breaks at spaces only, anywhere also between characters of Hangul, Han
    and kana, phrase between the phrases of Japanese, Chinese and Thai; auto does what suits the
    language. `fill` is the colour of the words; of a cta or badge it is the colour of the
    pill, whose words are black or white, whichever reads better. `rotate`: degrees clockwise
    about the layer's centre.
    """

    type: Literal["text"] = "text"
    role: Role
    text: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    spans: Annotated[list[Span], Field(min_length=1, max_length=8)] | None = None
    lang: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = None
    dir: Literal["auto", "ltr", "rtl"] = "auto"
    line_break: Literal["auto", "keep_all", "anywhere", "phrase"] = "auto"
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


class InsetLayer(Strict):
    """What image and QR layers share: where they stand and how large.

    Either inside `box`, or as large as `size` says (the side of a square of equal area, as a
    fraction of the short side) at `anchor` of the safe area; without both in a free corner.
    """

    box: Box | None = None
    anchor: Anchor | None = None
    size: Annotated[float, Field(ge=0.02, le=1)] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "InsetLayer":
        if self.box is not None and (self.anchor is not None or self.size is not None):
            raise ValueError("box says where and how large: leave out anchor and size, or box")
        return self


class ImageLayer(InsetLayer):
    """A picture laid on the advert, whole and in its own proportions.

    `product`: a cut-out with transparency; or a photograph that `mask` (white, or opaque, is the
    product) or its plain ground tells from the ground. `clear_space`: kept free around it, as a
    fraction of its shorter side. `shadow` auto: contact for products, none for others.
    """

    type: Literal["image"]
    kind: Literal["logo", "badge", "product"]
    image: ImageReference
    mask: ImageReference | None = None
    clear_space: Annotated[float, Field(ge=0, le=2)] | None = None
    opacity: Annotated[float, Field(gt=0, le=1)] = 1.0
    shadow: Literal["auto", "none", "soft", "contact"] = "auto"

    @model_validator(mode="after")
    def _masked(self) -> "ImageLayer":
        if self.mask is not None and self.kind != "product":
            raise ValueError("mask cuts out products; leave it out or send a transparent image")
        return self


# ISO/IEC 18004, bytes that the largest symbol (version 40) holds at each level.
_QR_BYTES = {"low": 2953, "medium": 2331, "quartile": 1663, "high": 1273}
_QR_CONTRAST = 3.0  # of dark modules on light ones, at least


class QrLayer(InsetLayer):
    """A QR code; its modules are whole pixels, so `size` is met from below.

    `error_correction` is the least level: 7, 15, 25 or 30 % of the code may be lost.
    `quiet_zone`: modules of `light` around it; 4 by the standard.
    """

    type: Literal["qr"]
    data: Annotated[str, Field(min_length=1, max_length=1000)]
    error_correction: Literal["low", "medium", "quartile", "high"] = "medium"
    quiet_zone: Annotated[int, Field(ge=2, le=10)] = 4
    dark: Hex = "#000000"
    light: Hex = "#ffffff"

    @model_validator(mode="after")
    def _readable(self) -> "QrLayer":
        size, most = len(self.data.encode()), _QR_BYTES[self.error_correction]
        if size > most:
            raise ValueError(
                f"data has {size} bytes in UTF-8; a code of error_correction "
                f"{self.error_correction!r} holds {most}"
            )
        dark, light = parse_hex(self.dark), parse_hex(self.light)
        ratio = contrast_between(dark, light)
        if ratio < _QR_CONTRAST or brightness(dark) > brightness(light):
            raise ValueError(
                f"scanners need dark modules on light ones: the contrast of dark and light is "
                f"{ratio:.1f} and must be {_QR_CONTRAST:g} at least"
            )
        return self


def _type_of(layer: Any) -> Any:
    """The tag of a layer; words need none."""
    if isinstance(layer, TextLayer | ImageLayer | QrLayer):
        return layer.type
    return layer.get("type", "text") if isinstance(layer, dict) else None


Layer = Annotated[
    Annotated[TextLayer, Tag("text")]
    | Annotated[ImageLayer, Tag("image")]
    | Annotated[QrLayer, Tag("qr")],
    Discriminator(
        _type_of,
        custom_error_type="unknown_layer",
        custom_error_message="type must be text, image or qr",
    ),
]


class OverlaySpec(Strict):
    """What lies over one advert. `protect` boxes are never covered, `avoid` boxes rather not.

    `template` and `brand` are names that /v1/capabilities lists: a layout that says where each
    role stands and how it looks, and the faces and colours of a sender.
    `ai_label`: words that say that a model made the picture, in the language of the copy: on it
    (visible), in its file's description (metadata), in both or in neither. IPTC's digital source
    type, which machines read, is in every file. `copy_space`: the half or the box of the picture
    that was left empty for the words; they stand there unless they cannot. `layouts`: how many
    arrangements of the same words to make, each in another place, the best first.
    """

    version: Literal[1] = 1
    layers: Annotated[list[Layer], Field(min_length=1, max_length=MAX_LAYERS)]
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

    @property
    def image_layers(self) -> dict[int, ImageLayer]:
        """Its image layers by their index."""
        return {n: layer for n, layer in enumerate(self.layers) if isinstance(layer, ImageLayer)}

    @property
    def kept_images(self) -> list[str]:
        """Names of the kept files that its image layers show."""
        images = [layer.image for layer in self.image_layers.values()]
        return [image.removeprefix(KEPT) for image in images if image.startswith(KEPT)]
