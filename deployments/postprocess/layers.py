"""From the spec's layers to items ready to be set: role defaults, faces, missing glyphs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from deployments.postprocess import fonts, optics, text
from deployments.postprocess.breaks import is_traditional
from deployments.postprocess.copy_check import check
from deployments.postprocess.render import Typeface
from deployments.postprocess.spec import OverlaySpec, Size, TextLayer


@dataclass(frozen=True, slots=True)
class RoleStyle:
    """How a role is set unless its layer says otherwise.

    size: fractions of the short side. leading, tracking, gap (kept clear above): ems. rank: the
    layers of the highest rank are left out first where not all have room.
    """

    size: Size
    weight: int
    leading: float
    tracking: float
    gap: float
    max_lines: int
    rank: int
    balance: bool = False
    pill: bool = False


ROLES: Mapping[str, RoleStyle] = MappingProxyType(
    {
        "headline": RoleStyle(Size(min=0.08, max=0.13), 800, 1.16, -0.02, 0.3, 4, 0, balance=True),
        "price": RoleStyle(Size(min=0.07, max=0.1), 800, 1.15, -0.02, 0.4, 2, 1, balance=True),
        "cta": RoleStyle(Size(min=0.038, max=0.046), 700, 1.2, 0.0, 1.1, 1, 2, pill=True),
        "legal": RoleStyle(Size(min=0.025, max=0.028), 400, 1.4, 0.0, 0.4, 6, 3),
        "ai_label": RoleStyle(Size(min=0.022, max=0.025), 500, 1.4, 0.0, 0.4, 1, 4),
        "sub": RoleStyle(Size(min=0.04, max=0.052), 450, 1.38, -0.01, 0.6, 5, 5),
        "badge": RoleStyle(Size(min=0.032, max=0.04), 700, 1.2, 0.01, 0.9, 1, 6, pill=True),
        "custom": RoleStyle(Size(min=0.03, max=0.06), 500, 1.35, 0.0, 0.5, 6, 7),
    }
)

_AI_LABELS = MappingProxyType(
    {
        "ko": "AI 생성 이미지",
        "ja": "AI生成画像",
        "zh-hans": "AI 生成图片",
        "zh-hant": "AI 生成圖片",
        "ar": "صورة مولّدة بالذكاء الاصطناعي",
        "he": "תמונה שנוצרה ב-AI",
        "th": "ภาพที่สร้างโดย AI",
        "hi": "AI से बनी छवि",
        "ru": "Изображение создано ИИ",
        "el": "Εικόνα από τεχνητή νοημοσύνη",
        "en": "AI-generated image",
    }
)


@dataclass(frozen=True, slots=True)
class Item:
    """One layer ready to be set; `missing` are characters left out because no face has them."""

    index: int
    role: str
    layer: TextLayer
    style: RoleStyle
    copy: text.Copy
    face: Typeface
    missing: str = ""

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
        return optics.leading(self.face, self.copy.plain, self.style.leading)

    @property
    def pill(self) -> bool:
        """A cta or badge is a pill unless another backing was asked for."""
        return self.style.pill and self.layer.backing in ("auto", "plate")

    @property
    def rtl(self) -> bool:
        return self.copy.paragraphs[0].rtl


def prepare(spec: OverlaySpec) -> tuple[list[Item], list[str], list[str]]:
    """Items in the spec's order, the AI label last; problems; and warnings that never fail.

    Raises InvalidValue as `check` does.
    """
    check(spec)
    items: list[Item] = []
    problems: list[str] = []
    warnings: list[str] = []
    spoken = next((layer for layer in spec.layers if layer.lang or text.scripts(layer.text)), None)
    lang = (spoken.lang or text.language(spoken.text)) if spoken else "en"
    for index, layer in enumerate(spec.layers):
        item = _item(index, layer.role, layer, lang)
        warnings += [f"{item.name}: {warning}" for warning in item.copy.warnings]
        if item.missing:
            problems.append(f"{item.name}: no face has {item.missing!r}; these were left out")
        if item.copy.paragraphs:
            problems += _font_problems(item)
            items.append(item)
        else:
            problems.append(f"{item.name}: nothing visible is left of the text; it was left out")
    if spec.ai_label == "visible":
        items.append(_ai_label(len(spec.layers), lang))
    return items, problems, warnings


def _item(index: int, role: str, layer: TextLayer, around: str) -> Item:
    """`around`: the language of the advert, which a layer of mere figures is taken to be in."""
    style = ROLES[role]
    lang = layer.lang or (text.language(layer.text) if text.scripts(layer.text) else around)
    copy = _copy(layer.text, layer, lang)
    families = fonts.order(copy.plain, copy.lang, layer.font)
    gone = fonts.missing(copy.plain, families)
    if gone:
        kept = _copy(fonts.without(layer.text, gone), layer, copy.lang)
        copy = replace(kept, warnings=copy.warnings)
    tracking = style.tracking if copy.tracked else 0.0
    weight = fonts.nearest_weight(families[0], layer.weight or style.weight)
    sink = optics.sink(families[0], copy.plain)
    face = Typeface(families, weight, tracking, copy.lang, sink)
    item = Item(index, role, layer, style, copy, face, gone)
    return item if item.pill else replace(item, face=optics.centred(face, copy.plain))


def _copy(words: str, layer: TextLayer, lang: str) -> text.Copy:
    return text.prepare(words, lang, layer.dir, layer.line_break)


def _font_problems(item: Item) -> list[str]:
    """Why the face or the weight that the layer asks for is not what it is set in."""
    layer, used = item.layer, item.face.families[0]
    problems = []
    if layer.font not in ("auto", used):
        lacks = fonts.torn(item.copy.plain, layer.font) or "these letters"
        problems.append(f"{item.name}: {layer.font} lacks {lacks}; it is set in {used}")
    if layer.weight is not None and layer.weight != item.face.weight:
        problems.append(
            f"{item.name}: {used} has no weight {layer.weight}; {item.face.weight} it is"
        )
    return problems


def _ai_label(index: int, lang: str) -> Item:
    """The visible mark, in the language of the copy; English where we have no words for it."""
    tag = lang.lower()
    if tag.startswith("zh"):
        tag = "zh-hant" if is_traditional(tag) else "zh-hans"
    words = _AI_LABELS.get(tag.split("-")[0]) or _AI_LABELS.get(tag) or _AI_LABELS["en"]
    return _item(index, "ai_label", TextLayer(role="legal", text=words), lang)
