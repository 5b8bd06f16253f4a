"""Which way words run, and that figures and names keep their order among words from the right."""

import cv2
import numpy as np
import pytest

from deployments.postprocess.canvas.canvas import Canvas
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.design.items import Item, prepare_items
from deployments.postprocess.painting.compose import set_words
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.typesetting import engine, fonts
from deployments.postprocess.typesetting.direction import MARKS, carried, is_rtl, isolated, joins
from deployments.postprocess.typesetting.lines import break_lines
from deployments.postprocess.typesetting.spans import Spans
from deployments.postprocess.typesetting.text import prepare, sanitise
from tests.unit.postprocess.pictures import plain


def seen(text: str, rtl: bool = True, lang: str = "ar") -> str:
    """What stands in a line from left to right; words from the right as they are read."""
    families = fonts.order(text, lang)
    stretches = engine.visual_order([isolated(text, rtl)], rtl, families, lang)
    return MARKS.sub("", "".join(stretch for _, stretch in stretches))


@pytest.mark.parametrize(
    ("text", "figure"),
    [
        ("+966 50 123 4567", "+966 50 123 4567"),
        ("اتصل بنا: +966 50 123 4567 أو 920-012-345", "+966 50 123 4567"),
        ("اتصل بنا: +966 50 123 4567 أو 920-012-345", "920-012-345"),
        ("هاتف: (050) 123-4567", "(050) 123-4567"),
        ("تماس: ۰۲۱ ۱۲۳۴ ۵۶۷۸", "۰۲۱ ۱۲۳۴ ۵۶۷۸"),
        ("اليوم -5°C", "-5°C"),
        ("-50%", "-50%"),
        ("خصم 50% اليوم", "50%"),
        ("السعر 1 299 ريال", "1 299"),
        ("فقط $1,299.00", "$1,299.00"),
        ("قیمت: 12/500 تومان", "12/500"),
        ("سیل -30% آج ہی", "-30%"),
        ("מבצע -50% על הכל", "-50%"),
        ("לגיל 18+ בלבד", "18+"),
        ("1+1 מתנה", "1+1"),
        ("קורס C++ ו-C#", "C++"),
        ("קורס C++ ו-C#", "C#"),
        ("עקבו @shop.il #sale.", "#sale"),
        ("היכנסו www.shop.co.il/sale/ עכשיו", "www.shop.co.il/sale/"),
        ("ריצה של 5 km בשבת", "5 km"),
        ("קיץ 50% OFF בחנות", "50% OFF"),
        ("קנה iPhone 17 Pro (256GB) עכשיו", "iPhone 17 Pro (256GB)"),
    ],
)
def test_figures_and_names_keep_their_order(text: str, figure: str) -> None:
    assert figure in seen(text)


@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ("ב-50% הנחה", "הנחה", "50%"),  # the hyphen is the prefix's, not a sign
        ("קנה 2 iPhone עכשיו", "iPhone", "2"),
        ("خصم ٥٠٪", "٪", "٥٠"),  # the sign of Arabic digits stands to their left
    ],
)
def test_what_is_not_one_thing_is_ordered_as_ever(text: str, left: str, right: str) -> None:
    line = seen(text)
    assert line.index(left) < line.index(right)


@pytest.mark.parametrize(
    ("text", "lang", "rtl"),
    [
        ("iPhone 17 واحصل على خصم", "ar", True),
        ("Samsung ואחריות לשנה", "he", True),
        ("Learn العربية in a month", "en", False),
        ("Shop now!", "ar", False),
        ("₪199", "he", True),
        ("+1 212 555 0100", "en", False),
        ("Sale: تخفيضات كبيرة على كل المنتجات", "en", True),
    ],
)
def test_the_language_or_most_letters_give_the_base_direction(
    text: str, lang: str, rtl: bool
) -> None:
    assert is_rtl(text, lang, "auto") is rtl


def test_safe_marks_are_kept_and_only_overrides_go() -> None:
    safe = "\u200e-50%\u200e \u200fא\u061c \u2066C++\u2069 \u2067ב\u2069 \u2068ג\u2069"
    assert sanitise(safe) == (safe, ())
    clean, warnings = sanitise("\u202b\u202aa\u202c \u202eb\u202d")
    assert clean == "a b"
    assert len(warnings) == 1


def test_an_isolate_that_a_line_break_parts_goes_on_behind_it() -> None:
    assert carried("", "א \u2066one") == "א \u2066one\u2069"
    assert carried("א \u2066one ", "two\u2069 ב") == "\u2066two\u2069 ב"
    copy = prepare("מבצע \u2066one two three four\u2069 היום", "he")
    lines = break_lines(copy, lambda text, at: len(text) / 2, 6)
    assert lines is not None
    assert len(lines) > 2
    assert all(line.text.count("\u2066") == line.text.count("\u2069") for line in lines)


def runs_of(texts: list[str]) -> list[str]:
    """The stretches of a Hebrew or Arabic line of spans, from left to right."""
    layer = {"role": "sub", "spans": [{"text": text} for text in texts]}
    item = item_of({"layers": [layer]})
    lines = break_lines(item.copy, item.advance, 1000)
    assert lines is not None
    laid = item.lay_out(lines)[0]
    widths = [run.width for run in laid.runs]
    assert sum(widths) <= laid.width + 0.02
    assert [run.x for run in laid.runs] == sorted(run.x for run in laid.runs)
    return [MARKS.sub("", run.text) for run in laid.runs]


def item_of(spec: dict[str, object]) -> Item:
    items, _, _ = prepare_items(OverlaySpec.model_validate(spec))
    assert isinstance(items[0].spans, Spans)
    return items[0]


def test_spans_take_their_order_from_the_whole_line() -> None:
    assert runs_of(["קנה iPhone ", "17 Pro", " (256GB) עכשיו"]) == [
        "עכשיו", "iPhone", "17 Pro", "(256GB)", "קנה",
    ]  # fmt: skip
    assert runs_of(["اتصل ", "+966 50 ", "123 4567"]) == ["+966 50", "123 4567", "اتصل"]
    assert runs_of(["Sale ", "שלום", " today"]) == ["Sale", "שלום", "today"]


def test_letters_stay_joined_over_the_border_of_spans() -> None:
    assert joins("ح", "ب")
    assert not joins("ر", "ح")
    assert not joins("c", "d")
    whole = strokes({"text": "مرحبا بكم"})
    assert strokes({"spans": [{"text": "مرح"}, {"text": "با بكم", "fill": "#fff2c4"}]}) == whole
    assert strokes({"spans": [{"text": "مرح", "weight": 400}, {"text": "با بكم"}]}) == whole
    assert strokes({"text": "مرح\u200cبا بكم"}) == whole + 1


def strokes(layer: dict[str, object]) -> int:
    """How many pieces of ink a layer's letters are."""
    spec = {"layers": [{"role": "headline", "fill": "#ffffff", "backing": "none", **layer}]}
    canvas = Canvas(plain(900, 400), Rect(0, 0, 900, 400))
    pixels, report, _ = set_words(canvas, OverlaySpec.model_validate(spec))
    assert report.layers
    return int(cv2.connectedComponents((pixels[..., 0] > 100).astype(np.uint8))[0])
