"""Whole words, whole emoji, one face in one advert; and shaping as HarfBuzz has it."""

import pytest
import uharfbuzz as hb

from deployments.postprocess.design.items import Item, prepare_items
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.typesetting import engine, fonts
from deployments.postprocess.typesetting.breaks import clusters

WORDS = {
    "Noto Sans Bengali": "শুক্রবার প্রিয় গ্রাহক ক্ষুদ্র ত্রি দ্বার ন্ত্র ট্রেন ড্রাইভ স্ত্রী কর্ম জ্ব",
    "Noto Sans Devanagari": "त्योहार क्षेत्र र्क्रूर ट्रेन ड्राइव ज्ञान श्री द्वार हृदय र्‍य",
    "Noto Sans Gujarati": "ગુજરાતી સેલ ક્ષેત્ર પ્રિય ટ્રેન શ્રી કર્મ સ્ત્રી",
    "Noto Sans Gurmukhi": "ਪੰਜਾਬੀ ਪ੍ਰੇਮ ਸ੍ਵਰ ਖ਼ੁਸ਼ੀ ਪੜ੍ਹ ਗ੍ਰਾਹਕ",
    "Noto Sans Kannada": "ಕನ್ನಡ ಕ್ಷೇತ್ರ ಪ್ರೀತಿ ಶ್ರೀ ಕರ್ಮ ಸ್ತ್ರೀ ರಾಷ್ಟ್ರ",
    "Noto Sans Malayalam": "മലയാളം ക്ഷേത്രം പ്രിയ ശ്രീ സ്ത്രീ ട്രെയിൻ",
    "Noto Sans Oriya": "ଓଡ଼ିଆ କ୍ଷେତ୍ର ପ୍ରିୟ ଶ୍ରୀ ସ୍ତ୍ରୀ କର୍ମ ରାଷ୍ଟ୍ର",
    "Noto Sans Sinhala": "සිංහල ශ්‍රී ක්‍ෂේත්‍ර ප්‍රිය කර්‍ම",
    "Noto Sans Tamil": "தமிழ் ஸ்ரீ க்ஷ விற்பனை கோடை",
    "Noto Sans Telugu": "తెలుగు క్షేత్రం ప్రేమ శ్రీ రాష్ట్రం ప్రత్యేక",
    "Noto Sans Khmer": "ការបញ្ចុះតម្លៃ ស្ត្រី ខ្ញុំ ក្រុម",
    "Noto Sans Myanmar": "နှစ်သစ်အထူး လျှော့ဈေး ကျင်းပပါမည် ကြွေး",
    "Noto Sans Lao": "ຫຼຸດລາຄາ ພິເສດ ສຳລັບ ນ້ຳ",
    "Noto Sans Thai": "น้ำผึ้งแท้ ที่นี่ ปั๊ม",
    "Noto Sans Arabic": "مرحبا بكم لا إله مُحَمَّدٌ",
    "Noto Sans Georgian": "ქართული კოლექცია",
    "Noto Sans Armenian": "Հայերեն",
    "Noto Sans Ethiopic": "አማርኛ ቅናሽ",
}


@pytest.mark.parametrize("family", WORDS)
def test_words_are_shaped_as_harfbuzz_shapes_them(family: str) -> None:
    font = hb.Font(hb.Face(hb.Blob.from_file_path(str(fonts.of_family(family)[0].path))))
    font.set_variations({"wght": 700})
    for word in WORDS[family].split():
        buffer = hb.Buffer()
        buffer.add_str(word)
        buffer.guess_segment_properties()
        hb.shape(font, buffer)
        width = sum(glyph.x_advance for glyph in buffer.glyph_positions) / font.face.upem
        assert engine.advance(word, (family,), 700, 0.0, "en") == pytest.approx(width, abs=0.01)
        assert fonts.order(word, "en") == (family,)


def items_of(*texts: str) -> list[Item]:
    layers = [{"role": "custom", "text": text} for text in texts]
    return prepare_items(OverlaySpec.model_validate({"layers": layers}))[0]


@pytest.mark.parametrize(
    "text", ["1️⃣ 2️⃣ 3️⃣ 단계", "#️⃣ 해시태그", "🏃‍♂️ 5km ❤️‍🔥", "🇺🇸 🇯🇵 🏴‍☠️", "👋🏽 👨‍👩‍👧"]
)
def test_emoji_are_drawn_whole(text: str) -> None:
    (item,) = items_of(text)
    assert item.missing == ""
    assert item.copy.plain == text
    picture = engine.advance("🍞", (fonts.EMOJI,), 700, 0.0, "en")
    for cluster in clusters(text):
        if len(cluster) > 1:
            assert item.face.advance(cluster) == pytest.approx(picture, abs=0.02)


def test_an_emoji_of_which_no_face_has_the_whole_goes_whole() -> None:
    plain = ("Noto Sans KR", "Noto Sans Symbols 2")
    assert fonts.without("🏃‍♂️ run ❤️‍🔥!", plain) == " run !"
    assert fonts.without("1️⃣ step", plain) == " step"
    assert fonts.without("🏴‍☠️ ☠", plain) == " ☠"
    assert set(fonts.missing("🏃‍♂️", plain)) == {"🏃", "♂"}


def test_letters_of_mathematics_are_set_plain_and_said() -> None:
    layers = [{"role": "headline", "text": "𝐒𝐀𝐋𝐄 𝟓𝟎% 𝓃𝑜𝓌"}]
    items, problems, warnings = prepare_items(OverlaySpec.model_validate({"layers": layers}))
    assert items[0].copy.plain == "SALE 50% now"
    assert not problems
    assert "set plain" in warnings[0]


@pytest.mark.parametrize(
    ("texts", "faces"),
    [
        (("Nowa kolekcja", "Świeży chleb", "Kup teraz", "50%"), {"Noto Sans"}),
        (("Fresh bread", "Shop now"), {"Noto Sans KR"}),
        (("Только сегодня", "SALE", "-50%"), {"Noto Sans"}),
        (("夏のセール", "SALE", "50%"), {"Noto Sans JP"}),
        (("خصم الصيف", "SALE", "50%"), {"Noto Sans Arabic"}),
        (("ગુજરાતી સેલ", "50%"), {"Noto Sans Gujarati", "Noto Sans"}),
    ],
)
def test_an_advert_has_one_face(texts: tuple[str, ...], faces: set[str]) -> None:
    assert {item.face.families[0] for item in items_of(*texts)} == faces
