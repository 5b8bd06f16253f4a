"""Capitals by language, which never make another word or unit of what stands there."""

import pytest

from deployments.postprocess.design.items import prepare_items
from deployments.postprocess.design.names import find_template
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.typesetting.upper_case import capitals


@pytest.mark.parametrize(
    ("words", "lang", "raised"),
    [
        ("Καλοκαιρινές εκπτώσεις", "el", "ΚΑΛΟΚΑΙΡΙΝΕΣ ΕΚΠΤΩΣΕΙΣ"),
        ("Μάιος ή μαΐου", "el", "ΜΑΙΟΣ Ή ΜΑΪΟΥ"),
        ("προϊόν ᾠδή", "el", "ΠΡΟΪΟΝ ΩΔΗ"),
        ("yaz indirimi ışıl", "tr", "YAZ İNDİRİMİ IŞIL"),
        ("summer in istanbul", "en", "SUMMER IN ISTANBUL"),
        ("Straße und Maße", "de", "STRAẞE UND MAẞE"),
        ("Filter 5 µm fein", "de", "FILTER 5 µm FEIN"),
        ("5 μm and 3 kg of 2 kW, 500 mAh", "en", "5 μm AND 3 kg OF 2 kW, 500 mAh"),
        ("nur 2 €/kg", "de", "NUR 2 €/kg"),
        ("100 ml gratis, 256GB", "de", "100 ml GRATIS, 256GB"),
        ("follow @shop.kr #newIn", "en", "FOLLOW @shop.kr #newIn"),
        ("see www.shop.com/Sale now", "en", "SEE www.shop.com/Sale NOW"),
        ("visit shop.de today", "en", "VISIT shop.de TODAY"),
        ("mail Us@shop.com", "en", "MAIL Us@shop.com"),
        ("the new iPhone by eBay", "en", "THE NEW iPhone BY eBay"),
        ("ახალი კოლექცია", "ka", "ახალი კოლექცია"),
        ("և նոր", "hy", "ԵՎ ՆՈՐ"),
        ("été à la française", "fr", "ÉTÉ À LA FRANÇAISE"),
        ("скидка на чай", "ru", "СКИДКА НА ЧАЙ"),
        ("여름 sale", "ko", "여름 SALE"),
    ],
)
def test_capitals_are_those_of_the_language(words: str, lang: str, raised: str) -> None:
    assert capitals([words], lang) == [raised]
    pieces = [words[:5], words[5:]]
    assert "".join(capitals(pieces, lang)).casefold() == raised.casefold()


def test_a_template_s_capitals_follow_the_guessed_language() -> None:
    layers = [
        {"role": "headline", "text": "Yaz indirimi başladı"},
        {"role": "badge", "spans": [{"text": "yalnız 5 "}, {"text": "kg"}]},
    ]
    spec = OverlaySpec.model_validate({"template": "sale", "layers": layers})
    items, _, _ = prepare_items(spec, find_template("sale").styles)
    assert [item.copy.plain for item in items] == ["YAZ İNDİRİMİ BAŞLADI", "YALNIZ 5 kg"]
