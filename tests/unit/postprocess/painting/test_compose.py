"""Words on pictures: hierarchy, place, legibility, report."""

import numpy as np
import pytest

from deployments.errors import InvalidValue
from deployments.postprocess.canvas.canvas import Canvas
from deployments.postprocess.canvas.cost_map import map_costs
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.canvas.saliency import subject_box
from deployments.postprocess.painting.compose import set_words
from deployments.postprocess.schema.overlay import Box, OverlaySpec, Size, TextLayer
from deployments.postprocess.schema.reports import OverlayReport
from tests.unit.postprocess.pictures import disc, noise, plain

COPY = [
    TextLayer(role="headline", text="여름 한정 신메뉴 출시"),
    TextLayer(role="sub", text="Fresh croissants, every morning"),
    TextLayer(role="price", text="₩8,900"),
    TextLayer(role="cta", text="지금 주문하기"),
]


def draw(picture: np.ndarray, **spec: object) -> tuple[np.ndarray, OverlayReport, tuple[str, ...]]:
    height, width = picture.shape[:2]
    canvas = Canvas(picture, Rect(0, 0, width, height))
    spec.setdefault("layers", COPY)
    return set_words(canvas, OverlaySpec.model_validate(spec))


def covers(box: tuple[int, int, int, int], pixels: np.ndarray) -> float:
    left, top, width, height = box
    return float(pixels[top : top + height, left : left + width].mean())


def test_every_layer_is_drawn_in_hierarchy_and_reported() -> None:
    picture = disc(480, 480, centre=(0.7, 0.7), radius=0.2)
    pixels, report, warnings = draw(picture)
    sizes = {layer.role: layer.font_size_px for layer in report.layers}
    assert list(sizes) == ["headline", "sub", "price", "cta"]
    assert sizes["headline"] > sizes["price"] > sizes["sub"] > 0.035 * 480
    assert warnings == ()
    for layer in report.layers:
        left, top, width, height = layer.box
        before = picture[top : top + height, left : left + width]
        assert not np.array_equal(before, pixels[top : top + height, left : left + width])
        assert layer.contrast_p10 >= 4.5
    assert np.array_equal(picture, disc(480, 480, centre=(0.7, 0.7), radius=0.2))


@pytest.mark.parametrize("centre", [(0.22, 0.5), (0.78, 0.5), (0.5, 0.2), (0.5, 0.8)])
def test_words_keep_off_the_subject(centre: tuple[float, float]) -> None:
    picture = disc(600, 600, centre=centre, radius=0.18)
    subject = picture[..., 1] < 150
    _, report, _ = draw(picture)
    assert max(covers(layer.box, subject) for layer in report.layers) < 0.05


def test_the_cost_map_prices_the_subject_above_its_ground() -> None:
    picture = disc(300, 300, centre=(0.3, 0.3), radius=0.2)
    costs = map_costs(picture)
    assert costs.mean(Rect(60, 60, 60, 60)) > 5 * costs.mean(Rect(220, 220, 60, 60))
    box = subject_box(picture)
    assert box is not None
    assert box.contains(Rect(35, 35, 110, 110))
    assert subject_box(plain()) is None
    dearer = map_costs(picture, avoid=[Rect(220, 220, 60, 60)])
    assert dearer.mean(Rect(220, 220, 60, 60)) > costs.mean(Rect(220, 220, 60, 60)) + 0.5


def test_protected_boxes_are_never_covered() -> None:
    protect = Box(x=0.0, y=0.0, width=1.0, height=0.5)
    _, report, _ = draw(plain(500, 500), protect=[protect])
    assert report.layers
    assert all(layer.box[1] >= 249 for layer in report.layers)


@pytest.mark.parametrize(
    ("position", "right", "bottom"), [("top_left", False, False), ("bottom_right", True, True)]
)
def test_an_anchor_is_obeyed(position: str, right: bool, bottom: bool) -> None:
    layers = [TextLayer(role="headline", text="오늘만")]
    _, report, _ = draw(plain(400, 400), layers=layers, position=position)
    left, top, width, height = report.layers[0].box
    assert (left + width > 370) is right
    assert (top + height > 370) is bottom


def test_a_boxed_layer_stands_in_its_box() -> None:
    box = Box(x=0.5, y=0.6, width=0.4, height=0.2)
    layers = [TextLayer(role="custom", text="여기", box=box)]
    _, report, warnings = draw(plain(500, 500), layers=layers)
    assert Rect(250, 300, 200, 100).contains(Rect(*report.layers[0].box), slack=1)
    assert warnings == ()


@pytest.mark.parametrize("backing", ["auto", "shadow", "outline", "scrim", "plate"])
def test_busy_ground_is_made_legible_by_every_backing(backing: str) -> None:
    layers = [TextLayer(role="headline", text="오늘만 50%", backing=backing)]
    _, report, warnings = draw(noise(400, 400), layers=layers)
    assert report.layers[0].contrast_p10 >= 4.5
    assert report.layers[0].backing == backing or backing == "auto"
    assert report.layers[0].backing != "none"
    assert warnings == ()


def test_an_illegible_wish_is_a_warning_or_an_error() -> None:
    layers = [TextLayer(role="headline", text="안 보여요", fill="#707070", backing="none")]
    picture = plain(300, 300, (120, 120, 120))
    _, report, warnings = draw(picture, layers=layers)
    assert report.layers[0].contrast_p10 < 1.5
    assert "contrast" in warnings[0]
    with pytest.raises(InvalidValue, match="contrast") as caught:
        draw(picture, layers=layers, on_problem="fail")
    assert caught.value.param == "overlay"


def test_a_fill_is_drawn_as_asked() -> None:
    layers = [TextLayer(role="headline", text="가나다", fill="#ffe000")]
    pixels, report, _ = draw(plain(300, 300), layers=layers)
    assert report.layers[0].fill == "#ffe000"
    assert np.count_nonzero((pixels == (255, 224, 0)).all(axis=-1)) > 200


def test_the_pill_takes_the_fill_and_its_words_are_legible() -> None:
    layers = [TextLayer(role="cta", text="Order now", fill="#c8102e")]
    pixels, report, _ = draw(plain(400, 400), layers=layers)
    assert report.layers[0].contrast_p10 >= 4.5
    left, top, width, height = report.layers[0].box
    assert pixels[top + 4, left + width // 2].tolist() == [200, 16, 46]
    assert height < width


def test_missing_glyphs_are_left_out_and_named() -> None:
    layers = [
        TextLayer(role="headline", text="빵 \U00012000 굽는 집"),
        TextLayer(role="sub", text="\U00012000\U00012001"),
    ]
    _, report, warnings = draw(plain(300, 300), layers=layers)
    assert [layer.role for layer in report.layers] == ["headline"]
    assert report.layers[0].missing_glyphs == "\U00012000"
    assert "".join(report.layers[0].lines).replace(" ", "") == "빵굽는집"
    assert len(warnings) == 3


def test_stripped_overrides_are_reported_but_never_fail() -> None:
    layers = [TextLayer(role="headline", text="50\u202e%")]
    _, _, warnings = draw(plain(300, 300), layers=layers, on_problem="fail")
    assert "direction" in warnings[0]


def test_too_many_words_shrink_then_are_left_out_with_warnings() -> None:
    long = [TextLayer(role="headline", text="가나다라 마바사아 " * 30) for _ in range(12)]
    _, report, warnings = draw(plain(256, 256), layers=long)
    assert 0 < len(report.layers) < 12
    assert any("no room" in warning for warning in warnings)
    assert any("below its" in warning for warning in warnings)
    with pytest.raises(InvalidValue):
        draw(plain(256, 256), layers=long, on_problem="fail")


def test_clamp_ends_with_an_ellipsis_and_says_so() -> None:
    layer = TextLayer(role="sub", text="아주 긴 설명이 이어집니다 " * 15, fit="clamp", max_lines=2)
    _, report, warnings = draw(plain(400, 400), layers=[layer])
    assert len(report.layers[0].lines) == 2
    assert report.layers[0].lines[-1].endswith("…")
    assert "cut to 2 lines" in warnings[0]


def test_strict_keeps_its_size() -> None:
    layer = TextLayer(role="sub", text="꼭 이 크기", fit="strict", size=Size(min=0.05, max=0.1))
    _, report, _ = draw(disc(400, 400), layers=[layer])
    assert report.layers[0].font_size_px == 40


def test_the_ai_label_speaks_the_language_of_the_copy() -> None:
    for text, label in (("여름", "AI 생성 이미지"), ("Summer", "AI-generated image")):
        layers = [TextLayer(role="headline", text=text)]
        _, report, _ = draw(plain(400, 400), layers=layers, ai_label="visible")
        assert report.layers[-1].role == "ai_label"
        assert report.layers[-1].lines == (label,)


def test_legal_lines_stand_at_the_foot() -> None:
    layers = [*COPY, TextLayer(role="legal", text="일부 품목 제외")]
    _, report, _ = draw(plain(500, 500), layers=layers)
    legal = report.layers[-1]
    assert legal.box[1] > max(layer.box[1] + layer.box[3] for layer in report.layers[:-1])
    assert legal.box[1] + legal.box[3] > 460


@pytest.mark.parametrize("position", ["top_left", "top_right", "bottom_left", "bottom_right"])
def test_the_ink_itself_stays_inside_the_safe_area(position: str) -> None:
    layers = [TextLayer(role="headline", text="Éyjgpq 한글 ÂQ,"), TextLayer(role="cta", text="gyp")]
    picture = plain(500, 400)
    pixels, report, _ = draw(picture, layers=layers, position=position)
    rows, columns = np.nonzero((pixels != picture).any(axis=-1))
    left, top, width, height = report.safe_area
    assert {layer.backing for layer in report.layers} <= {"none", "plate"}
    assert rows.min() >= top - 1
    assert rows.max() <= top + height + 1
    assert columns.min() >= left - 1
    assert columns.max() <= left + width + 1


def test_the_reported_contrast_is_that_of_the_final_pixels() -> None:
    layers = [TextLayer(role="headline", text="오늘만 50%", fill="#ffffff", backing="plate")]
    pixels, report, _ = draw(noise(400, 400, 5), layers=layers)
    left, top, width, height = report.layers[0].box
    region = pixels[top : top + height, left : left + width].reshape(-1, 3) / 255
    ground = region[region.max(axis=1) < 0.9]  # all but the white ink
    linear = np.where(ground <= 0.04045, ground / 12.92, ((ground + 0.055) / 1.055) ** 2.4)
    ratios = 1.05 / (linear @ (0.2126, 0.7152, 0.0722) + 0.05)
    # The edges of the glyphs mix ink and ground, hence the tolerance.
    assert np.percentile(ratios, 25) >= 4.5
    assert report.layers[0].contrast_p10 == pytest.approx(4.55, abs=0.15)


def test_a_box_too_narrow_for_an_ellipsis_leaves_the_layer_out() -> None:
    box = Box(x=0.0, y=0.0, width=0.16, height=1.0)
    layer = TextLayer(role="legal", text="Fresh coffee", fit="clamp", max_lines=1, box=box)
    pixels, report, warnings = draw(noise(64, 73), layers=[layer])
    assert pixels.shape == (73, 64, 3)
    assert report.layers == () or report.layers[0].lines[0].endswith("…")
    assert warnings


@pytest.mark.parametrize("text", ["\u200d", "\u0301\n\u200b", " \u2006 "])
def test_invisible_words_are_left_out_with_a_warning(text: str) -> None:
    layers = [TextLayer(role="headline", text=text), TextLayer(role="sub", text="보여요")]
    _, report, warnings = draw(plain(200, 200), layers=layers)
    assert [layer.index for layer in report.layers] == [1]
    assert "layer 0" in warnings[0]


def test_hairlines_below_half_a_pixel_are_still_judged() -> None:
    layers = [TextLayer(role="custom", text="¸", weight=100, size=Size(min=0.015, max=0.015))]
    _, report, _ = draw(plain(120, 120), layers=layers)
    assert report.layers[0].contrast_p10 > 4.5
