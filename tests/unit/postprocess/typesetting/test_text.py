"""Words before they are set: cleaning, language, direction, breaks, faces."""

import unicodedata
from typing import Any

import pytest

from deployments.postprocess.typesetting.breaks import ZERO_WIDTH_SPACE
from deployments.postprocess.typesetting.lines import break_lines
from deployments.postprocess.typesetting.text import prepare, sanitise


def advance(text: str, at: int = 0) -> float:
    return sum(0.25 if char == " " else 1.0 if ord(char) > 0x1100 else 0.5 for char in text)


def test_a_given_language_wins() -> None:
    assert prepare("夏季新品上市", "zh-Hant").lang == "zh-Hant"


def test_decomposed_hangul_is_composed() -> None:
    assert prepare("\u1112\u1161\u11ab").plain == "한"


def test_overrides_and_controls_are_stripped_with_a_warning() -> None:
    clean, warnings = sanitise("50\u202e% off\u0007")
    assert clean == "50% off"
    assert len(warnings) == 2
    assert sanitise("plain") == ("plain", ())


def test_direction_is_found_for_each_paragraph() -> None:
    paragraphs = prepare("Sale\nخصم 50%\n50 מבצע").paragraphs
    assert [paragraph.rtl for paragraph in paragraphs] == [False, True, True]


def test_nothing_visible_gives_no_paragraphs() -> None:
    assert prepare(" \n\u200e\t ").paragraphs == ()


def test_tracking_is_off_where_letters_join() -> None:
    assert prepare("Sale").tracked
    assert not prepare("خصم").tracked
    assert not prepare("हिन्दी").tracked


@pytest.mark.parametrize(
    "text", ["今すぐご予約ください。", "夏季新品上市，全场五折", "ลดราคาพิเศษสำหรับวันนี้เท่านั้น"]
)
def test_languages_without_spaces_break_between_phrases(text: str) -> None:
    copy = prepare(text)
    assert ZERO_WIDTH_SPACE in copy.paragraphs[0].text
    assert copy.plain == text


def test_korean_words_stay_whole_and_no_syllable_stands_alone() -> None:
    text = "여름 한정 신메뉴 출시, 지금 바로 만나보세요 꼭"
    for width in range(6, 22):
        lines = break_lines(prepare(text), advance, width, balance=True)
        assert lines is not None
        words = [word for line in lines for word in line.text.split(" ")]
        assert words == text.split(" ")
        assert max(line.width for line in lines) <= width
        if len(lines) > 1 and width >= 7:
            assert len(lines[-1].text) > 1


def test_balanced_lines_are_even() -> None:
    lines = break_lines(prepare("가나 다라 마바 사아 자차"), advance, 9, balance=True)
    assert lines is not None
    assert len(lines) == 2
    assert lines[1].width >= 0.5 * lines[0].width


def test_a_break_prefers_the_seam_between_scripts() -> None:
    lines = break_lines(prepare("SUMMER SALE 최대 50%"), advance, 6, balance=True)
    assert lines is not None
    assert [line.text for line in lines] == ["SUMMER SALE", "최대 50%"]


def test_an_overwide_word_is_split_only_when_allowed() -> None:
    copy = prepare("가나다라마바사아자차")
    assert break_lines(copy, advance, 4) is None
    lines = break_lines(copy, advance, 4, split_words=True)
    assert lines is not None
    assert "".join(line.text for line in lines) == copy.plain
    assert max(line.width for line in lines) <= 4


def test_newlines_are_kept() -> None:
    lines = break_lines(prepare("하나\n둘"), advance, 50)
    assert lines is not None
    assert [line.text for line in lines] == ["하나", "둘"]


def test_lines_break_as_asked() -> None:
    def pieces(text: str, **asked: Any) -> list[str]:
        return prepare(text, **asked).paragraphs[0].text.split(ZERO_WIDTH_SPACE)

    assert pieces("여름한정 3월", line_break="anywhere") == ["여", "름", "한", "정 3월"]
    assert pieces("新品。「上市」", line_break="anywhere") == ["新", "品。", "「上", "市」"]
    assert len(pieces("今すぐご予約ください", line_break="keep_all")) == 1
    assert len(pieces("今すぐご予約ください", line_break="phrase")) > 1
    assert pieces("여름 Sale", line_break="auto") == ["여름 Sale"]


def test_a_direction_that_is_given_wins_and_the_language_decides_for_bare_digits() -> None:
    assert prepare("Sale", direction="rtl").paragraphs[0].rtl
    assert not prepare("خصم", direction="ltr").paragraphs[0].rtl
    assert prepare("50%", "ar").paragraphs[0].rtl
    assert not prepare("50%").paragraphs[0].rtl


def test_clusters_and_cursive_words_are_never_cut() -> None:
    marks = prepare("น้ำผึ้งที่นี่", "th", line_break="keep_all")
    lines = break_lines(marks, advance, 2, split_words=True)
    assert lines is not None
    assert len(lines) > 1
    assert not any(unicodedata.category(line.text[0]) == "Mn" for line in lines)
    assert break_lines(prepare("مستشفياتنا"), advance, 2, split_words=True) is None


def test_a_space_between_phrases_is_kept() -> None:
    copy = prepare("หอศิลป์ 10.00 ถึง 18.00 น.", "th")
    lines = break_lines(copy, lambda text, at: len(text) / 2, 40)
    assert lines is not None
    assert lines[0].text == copy.plain
