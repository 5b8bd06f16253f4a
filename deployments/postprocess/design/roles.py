"""How each role is set unless its layer, its template or its brand says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from deployments.postprocess.schema import Backing, Size

Plaque = Literal["none", "pill", "box", "lines", "disc", "burst"]
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
    fill: Literal["auto", "accent", "paper", "deep", "ink"] = "auto"
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
