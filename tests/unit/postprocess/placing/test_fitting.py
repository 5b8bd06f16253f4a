"""The largest size that fits, the other layers untouched, and the true reasons where none does."""

import pytest

from deployments.postprocess.canvas.canvas import Canvas
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.painting.compose import set_words
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.reports import OverlayReport
from tests.unit.postprocess.pictures import plain

SENTENCE = (
    "Everything must go in our biggest ever clearance event with hundreds of lines reduced across "
    "every department and many more surprises waiting in store for you and your family this "
    "weekend and the next one, and on all days that lie between the two of them, until all is gone"
)
KOREAN = (
    "창고를 모두 비우는 역대 최대 규모의 여름 정리 세일에 여러분을 초대합니다 "
    "모든 매장에서 수백 가지 상품을 할인된 가격으로 만나 보실 수 있으며 "
    "가족 모두를 위한 더 많은 선물이 이번 주말 내내 기다리고 있습니다"
)


def set_on(
    layers: list[dict[str, object]], width: int = 1080, height: int = 1080, clear: int = 0
) -> tuple[OverlayReport, tuple[str, ...]]:
    canvas = Canvas(plain(width, height), Rect(0, 0, width, height))
    spec = OverlaySpec.model_validate({"layers": layers})
    _, report, warnings = set_words(canvas, spec, clear)
    return report, warnings


@pytest.mark.parametrize("words", [SENTENCE, KOREAN])
def test_a_longer_headline_is_a_little_smaller_and_the_button_as_it_was(words: str) -> None:
    before = None
    for length in range(60, len(words), 20):
        layers = [{"role": "headline", "text": words[:length]}, {"role": "cta", "text": "Go"}]
        report, _ = set_on(layers)
        headline, button = report.layers
        assert button.font_size_px >= 0.038 * 1080 - 0.1
        if before is not None:
            assert headline.font_size_px >= 0.8 * before
        before = headline.font_size_px
    assert before is not None
    assert before > 45


@pytest.mark.parametrize("text", ["fjäll Woj", "여름 세일", "خصم", "ลดราคา"])
def test_a_line_fills_the_height_of_its_box(text: str) -> None:
    box = {"x": 0.1, "y": 0.1, "width": 0.8, "height": 0.07}
    report, _ = set_on([{"role": "headline", "text": text, "box": box}])
    assert report.layers[0].box[3] > 0.9 * 0.07 * 1080


def test_words_are_rather_set_smaller_than_cut() -> None:
    box = {"x": 0.06, "y": 0.05, "width": 0.5, "height": 0.3}
    address = "www.signboard-bakery.co.kr/event/2026/summer?utm=ad"
    report, warnings = set_on([{"role": "sub", "text": address, "box": box}])
    assert report.layers[0].lines[0].endswith("/")
    assert not any("cut" in warning for warning in warnings)


def test_clamped_words_use_all_the_width() -> None:
    layer = {"role": "sub", "text": SENTENCE, "fit": "clamp", "max_lines": 2}
    report, _ = set_on([layer])
    assert report.layers[0].lines[-1].endswith("…")
    assert report.layers[0].box[2] > 0.75 * 0.88 * 1080


@pytest.mark.parametrize(
    ("code", "free"),
    [
        ({"x": 0.1, "y": 0.1, "width": 0.3, "height": 0.3}, "right"),
        ({"x": 0.6, "y": 0.1, "width": 0.3, "height": 0.3}, "left"),
    ],
)
def test_words_take_what_a_code_leaves_of_their_box(code: dict[str, float], free: str) -> None:
    box = {"x": 0.1, "y": 0.1, "width": 0.8, "height": 0.2}
    layers = [
        {"role": "headline", "text": "Over the code", "box": box},
        {"type": "qr", "data": "https://example.com", "box": code},
    ]
    report, warnings = set_on(layers)
    assert warnings == ()
    left, _, width, _ = report.layers[0].box
    own_left, _, own_width, _ = report.insets[0].box
    assert left >= own_left + own_width if free == "right" else left + width <= own_left


def test_the_reasons_told_are_the_true_ones() -> None:
    top = {"x": 0, "y": 0, "width": 1, "height": 0.1}
    corner = {"x": 0.85, "y": 0.8, "width": 0.15, "height": 0.09}
    layers = [
        {"role": "headline", "text": "Top of story", "box": top},
        {"type": "qr", "data": "https://example.com", "box": corner},
    ]
    report, warnings = set_on(layers, 1080, 1920, clear=250)
    assert any("outside the safe area" in warning for warning in warnings)
    assert any("moved from its box into the safe area" in warning for warning in warnings)
    assert report.insets[0].scale >= 4
