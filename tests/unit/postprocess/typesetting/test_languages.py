"""The language of words: by script, by telling letters, by the detector, by their advert."""

import pytest

from deployments.postprocess.design.ai_label import AI_LABELS
from deployments.postprocess.design.items import prepare_items
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.typesetting.languages import guess, of_advert


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("여름 한정 SALE", "ko"),
        ("夏の新メニュー", "ja"),
        ("産地直送 骨付肉", "ja"),  # a character that only Japan writes so
        ("時々割引", "ja"),
        ("夏季新品上市", "zh-Hans"),
        ("iPhone 17 Pro Max 新品上市", "zh-Hans"),
        ("歡迎光臨 週年慶", "zh-Hant"),
        ("門市骨董傢俱 直接返現，買一送一", "zh-Hant"),
        ("中秋节快乐", "zh-Hans"),
        ("Fresh bread", "en"),
        ("Summer sale", "en"),
        ("WOW", "en"),
        ("₩8,900", "en"),
        ("Привет", "ru"),
        ("Купи Samsung Galaxy со скидкой", "ru"),
        ("Свіжий хліб щоранку", "uk"),
        ("Лятна разпродажба, купи сега още днес", "bg"),
        ("Свежи хлеб сваког јутра, још данас ћемо", "sr"),
        ("خصم", "ar"),
        ("همین حالا بخرید", "fa"),
        ("ابھی خریدیں", "ur"),
        ("מבצע", "he"),
        ("ลดราคา", "th"),
        ("Bánh mì tươi mỗi sáng", "vi"),
        ("Jetzt bis zu 50 % sparen", "de"),
        ("Nouvelle collection", "fr"),
        ("Rebajas de verano", "es"),
        ("Pane fresco ogni mattina", "it"),
        ("Promoção de verão", "pt"),
        ("Świeży chleb każdego ranka", "pl"),
        ("Her sabah taze ekmek", "tr"),
        ("Friss kenyér minden reggel", "hu"),
        ("Nybakat bröd varje morgon", "sv"),
        ("ગુજરાતી", "gu"),
        ("ქართული", "ka"),
    ],
)
def test_words_tell_their_language(text: str, lang: str) -> None:
    assert guess(text) == lang


@pytest.mark.parametrize(
    ("text", "around", "lang"),
    [
        ("産地直送", "ja", "ja"),
        ("画像・角度・海・返品", "ja", "ja"),
        ("李氏朝鮮 宮中飮食", "ko", "ko"),
        ("上市", "zh-TW", "zh-TW"),
        ("限时抢购", "zh-Hant", "zh-Hans"),
        ("かな", "ko", "ja"),
        ("₩8,900", "ko", "ko"),
        ("Kup teraz", "pl", "pl"),
        ("Straße", "tr", "de"),
        ("SALE", "ko", "en"),
        ("новая", "uk", "uk"),
        ("объявление", "uk", "ru"),
        ("اطلب", "fa", "fa"),
        ("Купи iPhone Pro Max", "ru", "ru"),
    ],
)
def test_a_layer_follows_its_advert_unless_its_letters_say_otherwise(
    text: str, around: str, lang: str
) -> None:
    assert guess(text, around) == lang


def test_all_words_together_tell_an_advert_s_language() -> None:
    assert of_advert([("限量", None), ("夏の新メニュー", None)]) == "ja"
    assert of_advert([("新品上市", None), ("歡迎光臨", None)]) == "zh-Hant"
    assert of_advert([("直接", None), ("骨", "ja")]) == "ja"
    assert of_advert([("Kup teraz", None), ("Świeży chleb", None)]) == "pl"
    assert of_advert([("50%", None), ("여름", "ko")]) == "ko"


def faces_of(*texts: str) -> list[tuple[str, str]]:
    layers = [{"role": "custom", "text": text} for text in texts]
    items, _, _ = prepare_items(OverlaySpec.model_validate({"layers": layers}))
    return [(item.copy.lang, item.face.families[0]) for item in items]


def test_an_advert_s_han_characters_have_its_country_s_forms() -> None:
    japanese = faces_of("産地直送 骨付肉", "骨付き鶏もも肉を。", "画像・角度・海・刃・直")
    assert japanese == [("ja", "Noto Sans JP")] * 3
    assert faces_of("신메뉴 출시", "李氏朝鮮 宮中飮食 直接") == [("ko", "Noto Sans KR")] * 2
    assert faces_of("歡迎光臨", "直接返現") == [("zh-Hant", "Noto Sans TC")] * 2


@pytest.mark.parametrize(
    ("copy", "tag"),
    [
        ("Купити зараз, свіжий хліб", "uk"),
        ("نان تازه هر روز صبح", "fa"),
        ("Mua ngay hôm nay", "vi"),
        ("Kostenlose Lieferung ab 30 Euro", "de"),
        ("Nowość", "pl"),
        ("Yaz indirimi başladı", "tr"),
    ],
)
def test_the_mark_is_in_the_advert_s_language(copy: str, tag: str) -> None:
    spec = {"layers": [{"role": "headline", "text": copy}], "ai_label": "visible"}
    items, _, _ = prepare_items(OverlaySpec.model_validate(spec))
    assert items[-1].copy.plain == AI_LABELS[tag]
