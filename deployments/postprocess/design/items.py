"""From the spec's layers to items ready to be set: role defaults, faces, missing glyphs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from deployments.postprocess.design import ai_label
from deployments.postprocess.design.brand import Brand
from deployments.postprocess.design.names import check_copy, language_of
from deployments.postprocess.design.plaques import is_block
from deployments.postprocess.design.roles import ROLES, ROUND, Plaque, RoleStyle
from deployments.postprocess.schema import Backing, Fill, OverlaySpec, Size, Span, TextLayer
from deployments.postprocess.typesetting import (
    Advance,
    Line,
    Spans,
    Typeface,
    capitals,
    fonts,
    languages,
    metrics,
    spans,
    text,
)

PLATE_PADDING = 0.024  # of the canvas's short side, that a plate reaches beyond its words
_ROUND_LETTERS = 14  # a price, or a word or two


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One layer ready to be set; `missing` are characters left out because no face has them.

    spans: None where all words are set alike. Compared by identity, which is cheap: the search
    asks for the same settings again and again.
    """

    index: int
    role: str
    layer: TextLayer
    style: RoleStyle
    copy: text.Copy
    face: Typeface
    missing: str = ""
    spans: Spans | None = None

    @property
    def name(self) -> str:
        return f"layer {self.index} ({self.role})"

    @property
    def size(self) -> Size:
        return self.layer.size or self.style.size

    @property
    def max_lines(self) -> int:
        return self.layer.max_lines or self.style.max_lines

    @property
    def leading(self) -> float:
        """Line height in ems; more where marks stand above or below the usual line."""
        return _leading(self)

    @property
    def fills(self) -> tuple[Fill, ...]:
        """The fill of each of the layer's parts (see Run)."""
        return self.spans.fills if self.spans else (self.layer.fill,)

    @property
    def stroke(self) -> float:
        """How far the stroke reaches beyond the letters, in ems."""
        return self.layer.stroke.width if self.layer.stroke else 0.0

    @property
    def plaque(self) -> Plaque:
        """What the words stand on: none where another backing was asked for. In a box of their
        own nothing round, which would leave little of it to them; nor under more than a few words,
        around which it would hide the picture."""
        if self.layer.backing not in ("auto", "plate"):
            return "none"
        if self.style.plaque not in ROUND:
            return self.style.plaque
        long = text.ink_length(self.copy.plain) > _ROUND_LETTERS
        return "box" if long or self.layer.box is not None else self.style.plaque

    @property
    def plated(self) -> bool:
        """Whether a plate or glass was asked for, which reaches beyond the words."""
        return not self.pill and self.backing in ("plate", "glass")

    @property
    def pill(self) -> bool:
        return self.plaque != "none"

    @property
    def centred(self) -> bool:
        """Whether the words stand in the middle of their plaque, whatever their alignment."""
        return is_block(self.plaque)

    @property
    def backing(self) -> Backing:
        return self.style.backing if self.layer.backing == "auto" else self.layer.backing

    @property
    def rtl(self) -> bool:
        return self.copy.paragraphs[0].rtl

    @property
    def advance(self) -> Advance:
        """The width in ems of parts of the copy."""
        return self.spans.advance if self.spans else self.face.advance

    def lay_out(self, lines: tuple[Line, ...]) -> tuple[Line, ...]:
        """The lines of the whole copy, cut into runs where its spans differ."""
        return self.spans.lay_out(lines) if self.spans else lines


@lru_cache(maxsize=256)
def _leading(item: Item) -> float:
    leading = metrics.leading(item.face, item.copy.plain, item.style.leading)
    return leading * (item.spans.tallest if item.spans else 1.0)


def prepare_items(
    spec: OverlaySpec, styles: Mapping[str, RoleStyle] = ROLES, brand: Brand | None = None
) -> tuple[list[Item], list[str], list[str]]:
    """Items in the spec's order, the AI label last; problems; and warnings that never fail.

    Raises InvalidValue as `check_copy` does.
    """
    check_copy(spec)
    items: list[Item] = []
    problems: list[str] = []
    warnings: list[str] = []
    advert = _advert(spec, brand)
    for index, layer in enumerate(spec.layers):
        if not isinstance(layer, TextLayer):
            continue
        item = _item(index, layer.role, layer, styles[layer.role], brand, advert)
        warnings += [f"{item.name}: {warning}" for warning in item.copy.warnings]
        if item.missing:
            problems.append(f"{item.name}: no face has {item.missing!r}; these were left out")
        if item.copy.paragraphs:
            problems += _font_problems(item)
            items.append(item)
        else:
            problems.append(f"{item.name}: nothing visible is left of the text; it was left out")
    if spec.ai_label in ("visible", "both"):
        items.append(_ai_label(len(spec.layers), advert, styles["ai_label"], brand))
    return items, problems, warnings


@dataclass(frozen=True, slots=True)
class _Advert:
    """What an advert's layers share: its language, and the face of its Latin letters."""

    lang: str
    face: str


def _advert(spec: OverlaySpec, brand: Brand | None) -> _Advert:
    lang = language_of(spec)
    free = [
        (layer.words, layer.lang or languages.guess(layer.words, lang))
        for layer in spec.layers
        if isinstance(layer, TextLayer) and _font(layer, layer.role, brand) == "auto"
    ]
    return _Advert(lang, fonts.advert_face(free, lang))


def _font(layer: TextLayer, role: str, brand: Brand | None) -> str:
    return brand.font(role) if brand and layer.font == "auto" else layer.font


def _item(
    index: int,
    role: str,
    layer: TextLayer,
    style: RoleStyle,
    brand: Brand | None,
    advert: _Advert,
) -> Item:
    """A layer is in its advert's language unless its letters say otherwise."""
    said = layer.spans or [Span(text=layer.words)]
    lang = layer.lang or languages.guess(layer.words, advert.lang)
    if style.upper:
        raised = capitals([span.text for span in said], lang)
        said = [_reworded(span, words) for span, words in zip(said, raised, strict=True)]
    copy = _copy(_joined(said), layer, lang)
    font = _font(layer, role, brand)
    families = fonts.order(copy.plain, lang, font, advert.face)
    warnings = copy.warnings
    gone = fonts.missing(copy.plain, families)
    forms = fonts.plainer(gone)
    if forms:
        said = [_reworded(span, span.text.translate(forms)) for span in said]
        copy = _copy(_joined(said), layer, lang)
        families = fonts.order(copy.plain, lang, font, advert.face)
        told = ", ".join(f"{char} as {form}" for char, form in sorted(forms.items()))
        warnings += (f"no face has these letters, which are set plain: {told}",)
        gone = fonts.missing(copy.plain, families)
    if gone:
        said = [_reworded(span, fonts.without(span.text, families)) for span in said]
        copy = _copy(_joined(said), layer, lang)
    copy = replace(copy, warnings=warnings)
    tracking = style.tracking if copy.tracked else 0.0
    weight = brand.weight(role, style.weight) if brand else style.weight
    weight = fonts.nearest_weight(families[0], layer.weight or weight)
    sink = metrics.sink(families[0], copy.plain)
    face = Typeface(families, weight, tracking, copy.lang, sink)
    item = Item(index, role, layer, style, copy, face, gone)
    if not item.pill:
        face = metrics.centred(face, copy.plain)
    own = spans.find(said, face, layer.fill) if layer.spans else None
    return replace(item, face=face, spans=own)


def _copy(words: str, layer: TextLayer, lang: str) -> text.Copy:
    return text.prepare(words, lang, layer.dir, layer.line_break)


def _font_problems(item: Item) -> list[str]:
    """Why the face or the weights that the layer asks for are not what it is set in."""
    layer, used = item.layer, item.face.families[0]
    problems = []
    if layer.font not in ("auto", used):
        lacks = fonts.torn(item.copy.plain, layer.font) or "these letters"
        problems.append(f"{item.name}: {layer.font} lacks {lacks}; it is set in {used}")
    for weight in dict.fromkeys([layer.weight, *(span.weight for span in layer.spans or ())]):
        nearest = weight and fonts.nearest_weight(used, weight)
        if weight != nearest:
            problems.append(f"{item.name}: {used} has no weight {weight}; {nearest} it is")
    return problems


def _reworded(span: Span, words: str) -> Span:
    return span.model_copy(update={"text": words})


def _joined(said: Sequence[Span]) -> str:
    return "".join(span.text for span in said)


def _ai_label(index: int, advert: _Advert, style: RoleStyle, brand: Brand | None) -> Item:
    """The visible mark, in the language of the copy; English where we cannot say it."""
    words = ai_label.drawable_ai_label(advert.lang)
    tag = "en" if words == ai_label.ENGLISH else advert.lang
    layer = TextLayer(role="legal", text=words, lang=tag)
    return _item(index, "ai_label", layer, style, brand, advert)
