"""Where lines break, in many scripts: by UAX 14 and language, never inside a figure."""

import pytest

from deployments.errors import InvalidValue
from deployments.postprocess.canvas.canvas import Canvas
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.painting.compose import set_words
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.reports import OverlayReport
from deployments.postprocess.typesetting.breaks import clusters
from deployments.postprocess.typesetting.lines import Line, break_lines
from deployments.postprocess.typesetting.text import prepare
from tests.unit.postprocess.pictures import plain


def advance(text: str, at: int = 0) -> float:
    return float(sum(1.0 if ord(char) > 0x1100 else 0.5 for char in text))


def broken(text: str, width: float, lang: str | None = None, split: bool = False) -> list[Line]:
    lines = break_lines(prepare(text, lang), advance, width, split_words=split)
    assert lines is not None
    return list(lines)


def every_break(text: str, lang: str | None = None) -> set[str]:
    """Each place a line breaks at as "before|after", over all widths."""
    found = set()
    for tenth in range(10, 300, 3):
        lines = break_lines(prepare(text, lang), advance, tenth / 10)
        for one, other in zip(lines or (), (lines or ())[1:], strict=False):
            found.add(f"{one.text}|{other.text}")
    return found


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("지금 월 19,900원 부터", "월 19,900원"),
        ("분양가 11억 3,000만원 확정", "11억 3,000만원"),
        ("오는 12월 28일 개봉", "12월 28일"),
        ("매일 오후 1시 시작", "오후 1시"),
        ("강남역 3번 출구 앞", "3번 출구"),
        ("Appelez le 01 23 45 67 89 vite", "01 23 45 67 89"),
        ("скидка до 12 990 ₽ сегодня", "12 990 ₽"),
        ("nur 1 299,00 € heute", "1 299,00 €"),
        ("for only CHF 49.90 today", "CHF 49.90"),
        ("ราคา 199 บาท เท่านั้น", "199 บาท"),
        ("फक्त 499 रुपये आजच", "499 रुपये"),
        ("a run of 5 km today", "5 km"),
        ("save 50 % now", "50 %"),
        ("« oui » et « non »", "« oui »"),
        ("vraiment ? oui !", "vraiment ?"),
        ("Wi-Fi gratuit", "Wi-Fi"),
        ("+82 2 1234 5678 전화", "+82 2 1234 5678"),
        ("営業は21時30分まで", "21時30分"),
        ("本日は午後1時に開始しています", "午後1時"),
        ("全场12月28日开始", "12月28日"),
        ("この部屋の価格は11億3,000万円になっています", "11億3,000万円"),
        ("Только 12\u00a0990\u00a0₽ на всё", "12\u00a0990\u00a0₽"),
        ("no\u2060break here", "nobreak"),
    ],
)
def test_what_is_one_figure_stays_on_one_line(text: str, whole: str) -> None:
    breaks = every_break(text)
    assert breaks
    for pair in breaks:
        before, after = pair.split("|")
        for at in range(1, len(whole)):
            one, other = whole[:at].rstrip(" "), whole[at:].lstrip(" ")
            assert not (before.endswith(one) and after.startswith(other)), pair


@pytest.mark.parametrize(
    ("text", "lang", "between"),
    [
        ("ការបញ្ចុះតម្លៃធំបំផុតប្រចាំឆ្នាំ", "km", ("បំផុត", "ប្រចាំ")),
        ("ຫຼຸດລາຄາພິເສດສຳລັບທ່ານ", "lo", ("ລາຄາ", "ພິເສດ")),
        ("ပွဲတော်ကြီးကျင်းပပါမည်", "my", ("ပွဲတော်", "ကြီး")),
        ("ลดราคาพิเศษสำหรับวันนี้เท่านั้น", "th", ("พิเศษ", "สำหรับ")),
    ],
)
def test_scripts_without_spaces_break_between_words(
    text: str, lang: str, between: tuple[str, str]
) -> None:
    found = {pair.split("|")[0] for pair in every_break(text, lang)}
    assert any(line.endswith(between[0]) for line in found)
    whole = clusters(text)
    for pair in every_break(text, lang):
        for part in pair.split("|"):
            assert clusters(part)[0] in whole  # never before a vowel sign or a tone


@pytest.mark.parametrize(
    "text",
    ["コミュニケーションプラットフォームサービス、始動！", "チョコレートケーキッシュ。「夏」"],
)
def test_a_phrase_that_is_too_wide_is_parted_with_kinsoku(text: str) -> None:
    for width in range(3, 14):
        lines = broken(text, width, "ja", split=True)
        assert "".join(line.text for line in lines) == text
        assert not any(line.text[0] in "ョォュァッー、。！」" for line in lines)
        assert not any(line.text[-1] == "「" for line in lines)


def test_soft_hyphens_break_with_a_hyphen_and_vanish_elsewhere() -> None:
    text = "Donau\u00addampf\u00adschiff\u00adfahrts\u00adgesellschaft"
    assert [line.text for line in broken(text, 7.0, "de")] == [
        "Donaudampf-", "schifffahrts-", "gesellschaft",
    ]  # fmt: skip
    assert [line.text for line in broken(text, 50, "de")] == ["Donaudampfschifffahrtsgesellschaft"]
    assert {line.joint for line in broken(text, 7.0, "de")} == {"soft", ""}


@pytest.mark.parametrize(
    ("word", "lang", "joint"),
    [
        ("Geschirrspülmaschinenreiniger", "de", "hyphen"),
        ("verantwoordelijkheidsgevoel", "nl", "hyphen"),
        ("достопримечательности", "ru", "hyphen"),
        ("빵집에서만나요오늘도내일도", "ko", "cut"),
        ("Xyzzyxqwrtpsdfghjkl", "tlh", "cut"),
    ],
)
def test_a_word_that_is_too_wide_is_hyphenated_or_cut(word: str, lang: str, joint: str) -> None:
    lines = broken(word, 6, lang, split=True)
    assert len(lines) > 1
    assert {line.joint for line in lines[:-1]} == {joint}
    assert all(line.width <= 6 for line in lines)
    assert "".join(line.text.removesuffix("-" * line.hyphenated) for line in lines) == word


def test_addresses_break_after_a_slash_or_before_a_question_mark() -> None:
    breaks = every_break("www.signboard-bakery.co.kr/event/2026/summer?utm=ad&x=1")
    assert breaks
    for pair in breaks:
        before, after = pair.split("|")
        assert before.endswith("/") or after[0] in "?&"


def test_no_dash_or_middle_dot_stands_at_a_line_s_end_or_head() -> None:
    for text in (
        "커피와 빵 · 케이크와 차",
        "Coffee and bread – cakes and tea",
        "Kaffee und Brot — Tee",
    ):
        for pair in every_break(text):
            before, after = pair.split("|")
            assert before[-1] not in "·–—"
            assert after[0] not in "·–—"


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\r", "\r\n", "\n"])
def test_every_line_end_ends_a_line(end: str) -> None:
    assert [line.text for line in broken(f"one{end}two", 50)] == ["one", "two"]
    assert [line.text for line in broken(f"{end}one{end}{end}two{end}", 50)] == ["one", "", "two"]


def test_spaces_keep_their_widths_and_what_does_not_break() -> None:
    assert [line.text for line in broken("東京\u3000大阪  福岡", 50)] == ["東京\u3000大阪 福岡"]
    assert [line.text for line in broken("東京\u3000大阪", 3, "ja")] == ["東京", "大阪"]
    assert len(broken("1\u202f299\u00a0€ 5\u20072", 50)) == 1
    wide, plain_space = (
        set_line(f"東京{space}大阪", "ja").layers[0].box[2] for space in ("\u3000", " ")
    )
    assert wide > 1.1 * plain_space


def test_writing_is_not_replaced_by_other_characters() -> None:
    for text in ("葛\U000e0100飾", "\ufa10塚", "र्\u200dय", "❤\ufe0f", "🏴\U000e0067\U000e007f"):
        assert prepare(text).plain == text
    assert prepare("e\u0301\ufa10").plain == "é\ufa10"
    assert prepare("a\U000e0041b").warnings


def test_a_cut_word_is_told_of() -> None:
    box = {"x": 0.05, "y": 0.05, "width": 0.2, "height": 0.9}
    word = "Donaudampfschifffahrtsgesellschaftskapitän"
    size = {"min": 0.08, "max": 0.08}
    layers = [{"role": "sub", "text": word, "lang": "de", "box": box, "size": size}]
    spec = OverlaySpec.model_validate({"layers": layers, "on_problem": "fail"})
    with pytest.raises(InvalidValue, match="hyphenated: Do"):
        set_words(Canvas(plain(600, 600), Rect(0, 0, 600, 600)), spec)


def set_line(text: str, lang: str) -> OverlayReport:
    layer = {"role": "sub", "text": text, "lang": lang}
    spec = OverlaySpec.model_validate({"layers": [layer]})
    return set_words(Canvas(plain(600, 300), Rect(0, 0, 600, 300)), spec)[1]
