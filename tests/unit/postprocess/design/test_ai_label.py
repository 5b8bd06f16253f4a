"""The mark in the language of the copy: on the picture, in the file, in both or neither."""

import pytest

from deployments.postprocess.design.ai_label import (
    AI_LABELS,
    ENGLISH,
    ai_label_words,
    drawable_ai_label,
)
from deployments.postprocess.files import xmp
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.schema.overlay import OverlaySpec, TextLayer
from deployments.postprocess.schema.placements import Output
from deployments.postprocess.typesetting.languages import guess
from tests.unit.postprocess.pictures import disc


@pytest.mark.parametrize(
    ("copy", "starts"),
    [
        ("오늘만 이 가격", "AI 생성"),
        ("今日特价", "AI 生成图片"),
        ("きょうだけ", "AI生成画像"),
        ("Only today", "AI-generated"),
        ("اليوم فقط", "صورة"),
        ("רק היום", "תמונה"),
        ("เฉพาะวันนี้", "ภาพ"),
        ("सिर्फ आज", "एआई"),
        ("Только сегодня", "Изображение"),
    ],
)
def test_the_language_that_the_script_tells(copy: str, starts: str) -> None:
    assert ai_label_words(guess(copy)).startswith(starts)


@pytest.mark.parametrize(
    ("tag", "label"),
    [
        ("de-AT", "KI-generiertes Bild"),
        ("fr", "Image générée par IA"),
        ("es-419", "Imagen generada por IA"),
        ("zh-TW", "AI 生成圖片"),
        ("zh-Hant-HK", "AI 生成圖片"),
        ("zh-CN", "AI 生成图片"),
        ("zh", "AI 生成图片"),
        ("tlh", ENGLISH),
    ],
)
def test_the_language_that_a_tag_tells(tag: str, label: str) -> None:
    assert ai_label_words(tag) == label


def test_the_labels_are_short_and_different() -> None:
    assert all(4 < len(label) < 36 for label in AI_LABELS.values())
    assert len(set(AI_LABELS.values())) >= len(AI_LABELS) - 2  # Norwegian's two tags, and the like
    for tag, label in AI_LABELS.items():
        assert drawable_ai_label(tag) in (label, ENGLISH)
    for tag in ("ko", "ja", "en", "de", "fr", "es", "ru"):
        assert drawable_ai_label(tag) == AI_LABELS[tag]


@pytest.mark.parametrize(
    ("wanted", "drawn", "written"),
    [
        ("none", False, False),
        ("visible", True, False),
        ("metadata", False, True),
        ("both", True, True),
    ],
)
def test_where_the_label_goes(wanted: str, drawn: bool, written: bool) -> None:
    words = TextLayer(role="headline", text="오늘만 이 가격")
    spec = OverlaySpec(layers=[words], ai_label=wanted)

    done = finish_picture(disc(512, 512), spec, None, Output("jpeg"), {})

    marks = xmp.read(done.data)
    assert done.report is not None
    roles = [layer.role for layer in done.report.layers]
    assert ("ai_label" in roles) == drawn
    assert marks.description == ("AI 생성 이미지" if written else None)
    assert marks.source_type == xmp.SOURCE_TYPE
