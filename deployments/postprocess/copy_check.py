"""What can be refused of an overlay's words before there is a picture: faces, and breaks."""

from deployments.errors import InvalidValue
from deployments.postprocess import breaks, fonts, text
from deployments.postprocess.spec import OverlaySpec, TextLayer


def check(spec: OverlaySpec) -> None:
    """Raise InvalidValue for a font that is not there, or phrases in a language that has none."""
    for index, layer in enumerate(spec.layers):
        if not isinstance(layer, TextLayer):
            continue
        at = f"overlay.layers.{index}"
        fonts.check(layer.font, f"{at}.font")
        if layer.line_break == "phrase":
            lang = layer.lang or text.language(layer.words)
            if not breaks.has_phrases(lang):
                raise InvalidValue(
                    f"{at}.line_break: phrases are found in Japanese, Chinese and Thai, "
                    f"not in {lang!r}; choose auto, keep_all or anywhere",
                    f"{at}.line_break",
                    "unsupported_value",
                )
