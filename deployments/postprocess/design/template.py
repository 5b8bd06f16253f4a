"""Templates: designs by name, kept as data in templates/*.yaml, which need role texts alone.

A template says how each role is set and, for each aspect of canvas, which groups of roles stand
where and which shapes lie under them. Boxes are (x, y, width, height) in fractions of the safe
area; all other lengths are fractions of the canvas's short side.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from deployments.postprocess.canvas import Rect, Shares, union
from deployments.postprocess.design.roles import ROLES, ColourName, Data, Look, RoleStyle
from deployments.postprocess.schema import Align, Anchor, Hex, Role, Side

Aspect = Literal["wide", "square", "tall"]
_WIDE, _TALL = 1.25, 0.7  # width to height: from here on it is wide, up to here tall
_MIRRORED = {"left": "right", "right": "left"}


class Group(Data):
    """Roles that stand below each other in `box`, in this order, held at one of `anchors`.

    Of several anchors the first is taken unless another covers clearly less of the picture.
    """

    name: str
    roles: tuple[Role, ...]
    box: Shares
    anchors: Annotated[tuple[Anchor, ...], Field(min_length=1)]
    align: Align = "auto"

    def inside(self, area: Rect) -> Rect:
        """The box in pixels of a canvas whose safe area is `area`."""
        return area.part(self.box)


class Panel(Data):
    """A rectangle under groups: around their words or their whole boxes, `padding` beyond them.

    bleed: sides at which it runs to the canvas's edge. hairline: how far inside a thin line runs
    around it.
    """

    kind: Literal["panel"]
    around: tuple[str, ...]
    reach: Literal["words", "area"] = "words"
    bleed: tuple[Side, ...] = ()
    padding: float = 0.045
    radius: float = 0.0
    colour: ColourName = "paper"
    alpha: Annotated[float, Field(gt=0, le=1)] = 1.0
    hairline: float | None = None

    def bled(self, rect: Rect, canvas: Rect) -> Rect:
        """`rect`, cut at the canvas's edges, or carried to them where the panel bleeds."""
        left = canvas.x if "left" in self.bleed else max(canvas.x, rect.x)
        top = canvas.y if "top" in self.bleed else max(canvas.y, rect.y)
        right = canvas.right if "right" in self.bleed else min(canvas.right, rect.right)
        bottom = canvas.bottom if "bottom" in self.bleed else min(canvas.bottom, rect.bottom)
        return Rect(left, top, right - left, bottom - top)


class Rule(Data):
    """A line along the words of groups. length: None for as long as they, or their boxes, are."""

    kind: Literal["rule"]
    around: tuple[str, ...]
    side: Side
    reach: Literal["words", "area"] = "words"
    gap: float = 0.03
    length: float | None = None
    thickness: float = 0.004
    colour: ColourName = "ink"


class Frame(Data):
    """A line around the canvas, `inset` from its edges; words stay within it."""

    kind: Literal["frame"]
    inset: float
    thickness: float = 0.003
    colour: ColourName = "ink"


class Mark(Data):
    """A large quotation mark above the words of a group; size: its em."""

    kind: Literal["mark"]
    around: tuple[str, ...]
    size: float
    colour: ColourName = "accent"


Shape = Annotated[Panel | Rule | Frame | Mark, Field(discriminator="kind")]


class Variant(Data):
    """A template's groups and shapes for some aspects.

    window: the part of the canvas, in its fractions, that is left to a subject on plain ground;
    the whole, if None. It may reach beyond the canvas, which moves the subject aside. scale: of
    all the looks' sizes.
    """

    aspects: tuple[Aspect, ...]
    groups: Annotated[tuple[Group, ...], Field(min_length=1)]
    shapes: tuple[Shape, ...] = ()
    window: Shares | None = None
    scale: Annotated[float, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _groups_exist(self) -> "Variant":
        names = {group.name for group in self.groups}
        for shape in self.shapes:
            if not isinstance(shape, Frame) and not names.issuperset(shape.around):
                raise ValueError(f"{shape.kind}: no group is called one of {shape.around}")
        return self

    def hidden(self, area: Rect, width: int, height: int) -> Rect | None:
        """What a solid panel of fixed extent hides of a canvas, whose safe area is `area`."""
        canvas = Rect(0, 0, width, height)
        for shape in self.shapes:
            if isinstance(shape, Panel) and shape.reach == "area" and shape.alpha == 1:
                boxes = [group.inside(area) for group in self.groups if group.name in shape.around]
                return shape.bled(union(boxes).grow(shape.padding * min(width, height)), canvas)
        return None

    def mirrored(self) -> "Variant":
        """The same for words that run from right to left."""
        groups = (
            group.model_copy(
                update={
                    "box": _flip(group.box),
                    "anchors": tuple(map(_mirror_anchor, group.anchors)),
                }
            )
            for group in self.groups
        )
        window = self.window and _flip(self.window)
        shapes = tuple(_mirror_shape(shape) for shape in self.shapes)
        return self.model_copy(update={"groups": tuple(groups), "shapes": shapes, "window": window})

    def window_on(self, canvas: Rect) -> Rect | None:
        """The window in pixels of a canvas."""
        return self.window and canvas.part(self.window)


class Template(Data):
    """A design by name. accent: its colour where neither a brand nor the picture gives one."""

    about: str
    accent: Hex
    looks: Mapping[Role, Look]
    layouts: tuple[Variant, ...]

    @model_validator(mode="after")
    def _suits_every_aspect(self) -> "Template":
        for aspect in ("wide", "square", "tall"):
            if not any(aspect in variant.aspects for variant in self.layouts):
                raise ValueError(f"layouts: none is for {aspect} canvases")
        return self

    @property
    def styles(self) -> Mapping[str, RoleStyle]:
        looks: Mapping[Any, Look] = self.looks
        return {
            role: looks[role].over(style) if role in looks else style
            for role, style in ROLES.items()
        }

    def variants_for(self, width: float, height: float) -> tuple[Variant, ...]:
        """The variants for a canvas, the one it was designed with first."""
        shape = aspect_of(width, height)
        return tuple(variant for variant in self.layouts if shape in variant.aspects)


def aspect_of(width: float, height: float) -> Aspect:
    share = width / height
    return "wide" if share >= _WIDE else "tall" if share <= _TALL else "square"


def _flip(box: Shares) -> Shares:
    x, y, width, height = box
    return 1 - x - width, y, width, height


def _mirror_anchor(anchor: str) -> str:
    return "_".join(_MIRRORED.get(part, part) for part in anchor.split("_"))


def _mirror_shape(shape: Panel | Rule | Frame | Mark) -> Panel | Rule | Frame | Mark:
    if isinstance(shape, Panel):
        bleed = tuple(_MIRRORED.get(side, side) for side in shape.bleed)
        return shape.model_copy(update={"bleed": bleed})
    if isinstance(shape, Rule):
        return shape.model_copy(update={"side": _MIRRORED.get(shape.side, shape.side)})
    return shape
