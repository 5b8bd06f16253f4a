"""How each role is set: unless its layer or its brand says otherwise, and in a template's look."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deployments.postprocess.schema import Backing, Size

Plaque = Literal["none", "pill", "box", "lines", "disc", "burst"]
ROUND: tuple[Plaque, ...] = ("disc", "burst")
ColourName = Literal["accent", "paper", "deep", "ink"]


@dataclass(frozen=True, slots=True)
class RoleStyle:
    """How a role is set unless its layer says otherwise.

    size: fractions of the short side. leading, tracking, gap (kept clear above): ems. rank: the
    layers of the highest rank are left out first where not all have room. plaque: what the words
    stand on, filled with a colour of the palette (auto: what suits the picture). ink: their own
    colour where no layer says one. upper: in capitals.
    """

    size: Size
    weight: int
    leading: float
    tracking: float
    gap: float
    max_lines: int
    rank: int
    balance: bool = False
    plaque: Plaque = "none"
    fill: Literal["auto"] | ColourName = "auto"
    ink: Literal["auto", "accent"] = "auto"
    upper: bool = False
    backing: Backing = "auto"


ROLES: Mapping[str, RoleStyle] = MappingProxyType(
    {
        "headline": RoleStyle(Size(min=0.08, max=0.13), 800, 1.16, -0.02, 0.3, 4, 0, balance=True),
        "price": RoleStyle(Size(min=0.07, max=0.1), 800, 1.15, -0.02, 0.4, 2, 1, balance=True),
        "cta": RoleStyle(Size(min=0.038, max=0.046), 700, 1.2, 0.0, 1.1, 1, 2, plaque="pill"),
        "legal": RoleStyle(Size(min=0.025, max=0.028), 400, 1.4, 0.0, 0.4, 6, 3),
        "ai_label": RoleStyle(Size(min=0.022, max=0.025), 500, 1.4, 0.0, 0.4, 1, 4),
        "sub": RoleStyle(Size(min=0.04, max=0.052), 450, 1.38, -0.01, 0.6, 5, 5),
        "badge": RoleStyle(Size(min=0.032, max=0.04), 700, 1.2, 0.01, 0.9, 1, 6, plaque="pill"),
        "custom": RoleStyle(Size(min=0.03, max=0.06), 500, 1.35, 0.0, 0.5, 6, 7),
    }
)


class Data(BaseModel):
    """What a template's file holds: nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Look(Data):
    """How a role is set; what is None stays as it is without a template (ROLES).

    size: (min, max). tracking, leading, gap: ems. fill: of the plaque; ink: of the words.
    """

    size: tuple[float, float] | None = None
    weight: Annotated[int, Field(ge=100, le=900)] | None = None
    tracking: float | None = None
    leading: float | None = None
    gap: float | None = None
    max_lines: int | None = None
    balance: bool | None = None
    upper: bool | None = None
    plaque: Plaque | None = None
    fill: Literal["auto"] | ColourName | None = None
    ink: Literal["auto", "accent"] | None = None
    backing: Backing | None = None

    def over(self, style: RoleStyle) -> RoleStyle:
        """`style` with what this look says otherwise."""
        own: dict[str, Any] = self.model_dump(exclude_none=True)
        if self.size is not None:
            own["size"] = Size(min=self.size[0], max=self.size[1])
        return replace(style, **own)
