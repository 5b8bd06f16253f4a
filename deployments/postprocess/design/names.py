"""The names that an overlay may give, of templates, brands and fonts: each found, or refused with
all that there are.

Templates are data in templates/*.yaml. Nothing here needs what draws: the ingress asks it too.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import yaml

from deployments.errors import InvalidValue
from deployments.postprocess.design.brand import Brand, find_brand
from deployments.postprocess.design.template import Template
from deployments.postprocess.schema import OverlaySpec, TextLayer
from deployments.postprocess.typesetting import breaks, fonts, languages

_FOLDER = Path(__file__).parent / "templates"


def template_names() -> tuple[str, ...]:
    """All templates by name."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@lru_cache
def find_template(name: str) -> Template:
    """The template called `name`; raises InvalidValue naming all that exist."""
    if name not in template_names():
        raise InvalidValue(
            f"Unknown template {name!r}; choose one of {', '.join(template_names())}.",
            "overlay.template",
            "unknown_template",
        )
    data = (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    return Template.model_validate(yaml.safe_load(data))


def language_of(spec: OverlaySpec) -> str:
    """The language that an overlay's words are in."""
    words = (layer for layer in spec.layers if isinstance(layer, TextLayer))
    return languages.of_advert((layer.words, layer.lang) for layer in words)


def check_names(spec: OverlaySpec, brands: Mapping[str, Brand]) -> None:
    """Raise InvalidValue for an unknown template, brand or font, and as `check_copy` does."""
    check_copy(spec)
    if spec.template is not None:
        find_template(spec.template)
    if spec.brand is not None:
        find_brand(spec.brand, brands)


def check_copy(spec: OverlaySpec) -> None:
    """Raise InvalidValue for a font that is not there, or phrases in a language that has none."""
    for index, layer in enumerate(spec.layers):
        if not isinstance(layer, TextLayer):
            continue
        at = f"overlay.layers.{index}"
        fonts.check(layer.font, f"{at}.font")
        if layer.line_break == "phrase":
            lang = layer.lang or languages.guess(layer.words, language_of(spec))
            if not breaks.has_phrases(lang):
                raise InvalidValue(
                    f"{at}.line_break: phrases are found in Japanese, Chinese and Thai, "
                    f"not in {lang!r}; choose auto, keep_all or anywhere",
                    f"{at}.line_break",
                    "unsupported_value",
                )
