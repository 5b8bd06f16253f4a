"""Brand kits: the faces, colours, logo and tone that adverts of one sender share, from YAML."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import yaml
from pydantic import ValidationError, model_validator

from deployments.errors import InvalidValue, RequestError
from deployments.postprocess.intake import IntakeLimits
from deployments.postprocess.schema import Colour, Font, Hex, Strict, contrast_between, parse_hex

Tone = Literal["calm", "plain", "bold"]
_READABLE = 4.5  # WCAG 2.x AA: a brand whose ink cannot be read on its own ground is a mistake
_HEAVIER: Mapping[Tone, int] = MappingProxyType({"calm": -200, "plain": 0, "bold": 100})
_LARGE = ("headline", "price", "cta", "badge")


class Colours(Strict):
    """ink: of words; ground: what they stand on; accent: buttons, bands and marks."""

    ink: Hex
    ground: Hex
    accent: Hex

    @model_validator(mode="after")
    def _readable(self) -> "Colours":
        if contrast_between(self.ink_rgb, self.ground_rgb) < _READABLE:
            raise ValueError(f"ink on ground must reach a contrast of {_READABLE}")
        return self

    @property
    def ink_rgb(self) -> Colour:
        return parse_hex(self.ink)

    @property
    def ground_rgb(self) -> Colour:
        return parse_hex(self.ground)

    @property
    def accent_rgb(self) -> Colour:
        return parse_hex(self.accent)


class Faces(Strict):
    """The face of large words (headline, price, cta, badge) and that of all others."""

    headline: Font = "auto"
    text: Font = "auto"


class Brand(Strict):
    """One brand. tone: how heavy its large words are. logo: a picture file's absolute path."""

    faces: Faces = Faces()
    colours: Colours
    tone: Tone = "plain"
    logo: str | None = None

    def font(self, role: str) -> Font:
        return self.faces.headline if role in _LARGE else self.faces.text

    def weight(self, role: str, weight: int) -> int:
        """`weight` in the brand's tone, 100 to 900."""
        shift = _HEAVIER[self.tone] if role in _LARGE else 0
        return min(900, max(100, weight + shift))


def load_brands(folders: tuple[Path, ...], limits: IntakeLimits) -> dict[str, Brand]:
    """The brands of YAML files by their file names; later folders win.

    A relative logo is looked for beside its file. Raises ValueError naming the file that is not
    sound, or whose logo is missing, no picture, or beyond `limits`.
    """
    paths = {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}
    return {name: _load(path, limits) for name, path in sorted(paths.items())}


def find_brand(name: str, brands: Mapping[str, Brand]) -> Brand:
    """The brand called `name`; raises InvalidValue naming all that exist."""
    if name not in brands:
        known = f"choose one of {', '.join(brands)}" if brands else "none is configured here"
        raise InvalidValue(f"Unknown brand {name!r}; {known}.", "overlay.brand", "unknown_brand")
    return brands[name]


def _load(path: Path, limits: IntakeLimits) -> Brand:
    try:
        brand = Brand.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise ValueError(f"brand {path}: {error}") from error
    if brand.logo is None:
        return brand
    logo = (path.parent / Path(brand.logo).expanduser()).resolve()
    if not logo.is_file():
        raise ValueError(f"brand {path}: logo: there is no file {logo}")
    from deployments.postprocess.intake import decode  # OpenCV: only for a logo

    try:
        decode(logo.read_bytes(), "logo", limits, over_white=False)
    except RequestError as error:
        raise ValueError(f"brand {path}: logo: {logo}: {error.message}") from error
    return brand.model_copy(update={"logo": str(logo)})
