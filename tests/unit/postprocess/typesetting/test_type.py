"""Spans, gradients, strokes, shadows, glass and turned words, by what they leave in pixels."""

import math

import numpy as np
import pytest

from deployments.errors import InvalidValue
from deployments.postprocess.canvas.cost_map import map_costs
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.design import fitting
from deployments.postprocess.design.items import prepare_items
from deployments.postprocess.painting import word_masks
from deployments.postprocess.painting.paint import Ramp, lay_fill
from deployments.postprocess.placing import stack
from deployments.postprocess.schema.colour import contrast_between
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.typography import Gradient, Span
from deployments.postprocess.typesetting import fonts, spans
from deployments.postprocess.typesetting.drawing import Setting, Typeface, glyphs
from deployments.postprocess.typesetting.lines import Line, break_lines
from deployments.postprocess.typesetting.text import prepare
from tests.unit.postprocess.painting.test_compose import draw
from tests.unit.postprocess.pictures import noise, plain

FACE = Typeface(fonts.order("가", "ko", "auto"), 700, 0.0, "ko")
GRADIENT = {"from": "#ff0000", "to": "#0000ff", "angle": 90}


def set_spans(parts: list[Span], width: float, lang: str | None = None) -> tuple:
    copy = prepare("".join(part.text for part in parts), lang)
    own = spans.find(parts, FACE, "auto")
    lines = break_lines(copy, own.advance, width)
    assert lines is not None
    return own.lay_out(lines)


def equals(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (pixels == colour).all(axis=-1)


def test_advances_add_up_by_span_and_a_space_keeps_the_size_it_was_typed_in() -> None:
    (line,) = set_spans([Span(text="₩68,000", scale=0.5), Span(text=" ₩49,000")], 50)
    old, new = line.runs
    space = FACE.advance(" ")
    assert old.width == pytest.approx(0.5 * FACE.advance("₩68,000"))
    assert new.x == pytest.approx(old.width + space)
    assert line.width == pytest.approx(old.width + space + FACE.advance("₩49,000"))
    (line,) = set_spans([Span(text="₩68,000 ", scale=0.5), Span(text="₩49,000")], 50)
    assert line.runs[1].x == pytest.approx(line.runs[0].width + 0.5 * space)


def test_a_span_that_ends_inside_a_word_breaks_no_word() -> None:
    lines = set_spans([Span(text="여름 한"), Span(text="정 신메뉴", scale=0.6)], 4.5)
    assert " ".join(line.text for line in lines) == "여름 한정 신메뉴"
    runs = [(run.text, run.scale) for line in lines for run in line.runs]
    assert runs == [("여름 한", 1.0), ("정", 0.6), ("신메뉴", 0.6)]
    assert max(line.width for line in lines) <= 4.5


def test_cleaning_moves_no_span() -> None:
    lines = set_spans(
        [Span(text="가\u202e 나\t", scale=0.5), Span(text="\n다\u0007라", weight=900)], 50
    )
    runs = [(run.text, run.scale, run.weight) for line in lines for run in line.runs]
    assert runs == [("가 나", 0.5, 700), ("다라", 1.0, 900)]


def test_spans_follow_the_direction_of_their_line() -> None:
    (line,) = set_spans(
        [Span(text="خصم "), Span(text="NEW ", weight=400), Span(text="SALE")], 50, "ar"
    )
    left_to_right = [run.text for run in sorted(line.runs, key=lambda run: run.x)]
    assert left_to_right == ["NEW", "SALE", "خصم"]


def test_runs_share_a_baseline() -> None:
    lines = set_spans([Span(text="H"), Span(text="H", scale=0.5, fill="#ff0000")], 50)
    setting = Setting(FACE, lines, 100, 1.2, "start")
    feet = [
        np.nonzero(glyphs(setting, 0, 0, part).mask.max(axis=1) > 128)[0][-1] for part in (0, 1)
    ]
    tiles = [glyphs(setting, 0, 0, part).y for part in (0, 1)]
    assert abs((feet[0] + tiles[0]) - (feet[1] + tiles[1])) <= 1


@pytest.mark.parametrize(
    "family", ["Noto Sans KR", "Noto Sans Arabic", "Noto Sans Telugu", "Inter"]
)
def test_every_face_stands_on_its_own_baseline(family: str) -> None:
    face = Typeface((family,), 700, 0.0, "en")
    line = Line("H", face.advance("H"), rtl=False)
    tile = glyphs(Setting(face, (line,), 200, 3.0, "start"), 0, 0)
    foot = np.flatnonzero(tile.mask.max(axis=1) > 128)[-1] + 1 + tile.y
    assert (foot - 300) / 200 == pytest.approx(fonts.baseline(family), abs=0.01)


def test_the_strike_line_is_there_in_the_spans_ink() -> None:
    def rows(strike: bool) -> np.ndarray:
        parts = [{"text": "11", "strike": strike, "fill": "#ff0000"}, {"text": " 22"}]
        pixels, _, _ = draw(
            plain(500, 300, (10, 10, 10)), layers=[{"role": "price", "spans": parts}]
        )
        return equals(pixels, (255, 0, 0)).sum(axis=1)

    without, struck = rows(False), rows(True)
    added = np.nonzero(struck > without + 8)[0]
    letters = np.nonzero(without)[0]
    assert 2 <= len(added) <= 8
    height = letters[-1] - letters[0]
    assert letters[0] + 0.35 * height < added.mean() < letters[0] + 0.7 * height


def test_the_least_legible_span_decides() -> None:
    parts = [{"text": "Sale sale sale sale "}, {"text": "x", "fill": "#444444"}]
    layer = {"role": "headline", "spans": parts, "backing": "none"}
    ground = plain(500, 300, (40, 40, 40))
    _, report, warnings = draw(ground, layers=[layer])
    assert report.layers[0].fill == "#ffffff, #444444"
    assert report.layers[0].contrast_p10 < 2
    assert "contrast" in warnings[0]
    with pytest.raises(InvalidValue, match="contrast"):
        draw(ground, layers=[layer], on_problem="fail")


def test_a_stroke_lies_under_an_unchanged_fill() -> None:
    layer = {
        "role": "headline", "text": "획 Bold", "fill": "#ffe000", "backing": "none",
        "size": {"min": 0.2, "max": 0.2},
    }  # fmt: skip
    ground = plain(500, 300, (120, 120, 120))
    stroke = {"colour": "#c00000", "width": 0.1}
    pixels, report, _ = draw(ground, layers=[{**layer, "stroke": stroke}])
    bare, _, _ = draw(ground, layers=[layer])
    filled = equals(pixels, (255, 224, 0))
    # Antialiasing differs where the words stand between pixels, hence the tolerance.
    assert filled.sum() == pytest.approx(equals(bare, (255, 224, 0)).sum(), rel=0.05)
    yellow, red = np.nonzero(filled), np.nonzero(equals(pixels, (192, 0, 0)))
    assert yellow[0].min() - red[0].min() == pytest.approx(6, abs=1.5)
    assert red[1].max() - yellow[1].max() == pytest.approx(6, abs=1.5)
    assert report.layers[0].contrast_p10 == pytest.approx(
        contrast_between((255, 224, 0), (192, 0, 0)), abs=0.02
    )


def test_a_stroke_saves_the_backing_and_suits_an_automatic_ink() -> None:
    layer = {"role": "headline", "text": "우주로 가는 길", "stroke": {"width": 0.1}}
    _, report, warnings = draw(noise(500, 300), layers=[layer])
    assert (report.layers[0].backing, warnings) == ("none", ())
    assert report.layers[0].contrast_p10 > 15
    bare = draw(noise(500, 300), layers=[{**layer, "stroke": None}])[1]
    assert bare.layers[0].backing != "none"


def test_a_gradient_runs_over_the_letters_and_is_judged_at_every_pixel() -> None:
    layer = {"role": "headline", "text": "무지개 ABC", "fill": GRADIENT, "backing": "none"}
    ground = plain(600, 200, (255, 255, 255))
    pixels, report, _ = draw(ground, layers=[layer], min_contrast=3)
    inked = np.nonzero((pixels != 255).any(axis=-1))
    left, right = inked[1].min(), inked[1].max()
    reds = pixels[:, left : left + 40].reshape(-1, 3)
    blues = pixels[:, right - 40 : right].reshape(-1, 3)
    assert (reds[:, 0].astype(int) - reds[:, 2]).max() > 200
    assert (blues[:, 2].astype(int) - blues[:, 0]).max() > 200
    assert report.layers[0].fill == "linear-gradient(90deg, #ff0000, #0000ff)"
    ends = [contrast_between(colour, (255, 255, 255)) for colour in ((255, 0, 0), (0, 0, 255))]
    assert ends[0] < report.layers[0].contrast_p10 < ends[1]


def test_a_gradient_that_passes_through_its_ground_is_noticed() -> None:
    gradient = {"from": "#000000", "to": "#ffffff"}
    layer = {"role": "headline", "text": "사라진다", "fill": gradient, "backing": "none"}
    _, report, warnings = draw(plain(600, 200, (128, 128, 128)), layers=[layer])
    assert report.layers[0].contrast_p10 < 1.6
    assert "contrast" in warnings[0]


def test_a_turned_gradient_keeps_its_ends() -> None:
    ramp = lay_fill(Gradient.model_validate(GRADIENT), Rect(0, 0, 100, 20), 90)
    assert isinstance(ramp, Ramp)
    top, bottom = ramp.at(np.array([-40, 59]), np.array([50, 50]))
    assert top[0] > 250 > 5 > bottom[0]


@pytest.mark.parametrize("colour", ["#ff0080", "#ff5040", "#20a040"])
def test_middling_fills_get_the_backing_that_can_cure_them(colour: str) -> None:
    layer = {"role": "headline", "text": "오늘만 50%", "fill": colour, "backing": "plate"}
    _, report, warnings = draw(noise(400, 400), layers=[layer])
    assert (report.layers[0].contrast_p10 >= 4.5, warnings) == (True, ())


def test_shadows_lie_where_they_were_moved_and_count_in_the_ground() -> None:
    shadow = {"x": 0.3, "y": 0.2, "blur": 0.0, "colour": "#00c000", "alpha": 1.0}
    layer = {
        "role": "headline", "text": "ㅣ", "fill": "#ffffff", "backing": "none",
        "size": {"min": 0.3, "max": 0.3},
    }  # fmt: skip
    pixels, report, _ = draw(plain(300, 300, (0, 0, 0)), layers=[{**layer, "shadows": [shadow]}])
    white = np.nonzero(equals(pixels, (255, 255, 255)))
    green = np.nonzero(equals(pixels, (0, 192, 0)))
    assert green[1].max() - white[1].max() == pytest.approx(27, abs=1)
    assert green[0].max() - white[0].max() == pytest.approx(18, abs=1)
    near = {**shadow, "x": 0.03, "y": 0.0}
    lit = draw(plain(300, 300, (0, 0, 0)), layers=[{**layer, "shadows": [near]}])[1]
    assert lit.layers[0].contrast_p10 < 5 < report.layers[0].contrast_p10


def test_a_blur_beyond_the_limit_is_limited_with_a_warning_that_never_fails() -> None:
    layer = {
        "role": "headline", "text": "빛", "size": {"min": 0.3, "max": 0.3},
        "shadows": [{"blur": 1.0}],
    }  # fmt: skip
    _, _, warnings = draw(plain(300, 300), layers=[layer], on_problem="fail")
    assert warnings == ("layer 0 (headline): a shadow's blur of 90 px was limited to 48 px",)


def test_glass_blurs_only_what_is_under_it_and_is_legible() -> None:
    picture = noise(500, 500)
    layer = {"role": "headline", "text": "유리", "backing": "glass", "fill": "#ffffff"}
    pixels, report, warnings = draw(picture, layers=[layer], position="top_left")
    (glass,) = report.layers
    assert (glass.backing, warnings) == ("glass", ())
    assert glass.contrast_p10 >= 4.5
    left, top, width, height = glass.box
    pane = pixels[top - 8 : top, left : left + width].astype(float)
    assert pane.std() < 0.4 * picture.astype(float).std()
    assert np.array_equal(pixels[top + height + 40 :], picture[top + height + 40 :])
    plate = draw(picture, layers=[{**layer, "backing": "plate"}], position="top_left")[1]
    assert glass.backing_alpha < plate.layers[0].backing_alpha


@pytest.mark.parametrize("role", ["headline", "badge"])
@pytest.mark.parametrize("degrees", [-30.0, 17.0])
def test_turned_words_fill_the_box_that_is_reported(role: str, degrees: float) -> None:
    picture = plain(500, 400)
    layer = {"role": role, "text": "SALE 세일", "rotate": degrees, "max_lines": 1}
    pixels, report, _ = draw(picture, layers=[layer], position="bottom_right")
    rows, columns = np.nonzero((pixels != picture).any(axis=-1))
    left, top, width, height = report.layers[0].box
    assert columns.min() >= left - 1
    assert columns.max() <= left + width + 1
    assert rows.min() >= top - 1
    assert rows.max() <= top + height + 1
    if role == "headline":  # one line: as steep as was asked
        half = columns.min() + (columns.max() - columns.min()) // 2
        fall = rows[columns > half].mean() - rows[columns <= half].mean()
        run = columns[columns > half].mean() - columns[columns <= half].mean()
        assert math.degrees(math.atan2(fall, run)) == pytest.approx(degrees, abs=4)


def test_a_turned_layer_has_a_plate_of_its_own() -> None:
    both = [
        {"role": "headline", "text": "기울어진 제목", "rotate": -10, "backing": "plate"},
        {"role": "sub", "text": "바로 선 설명", "backing": "plate"},
    ]
    _, report, warnings = draw(noise(600, 600), layers=both)
    assert [layer.backing for layer in report.layers] == ["plate", "plate"]
    assert min(layer.contrast_p10 for layer in report.layers) >= 4.5
    assert warnings == ()


def test_the_parts_of_a_layer_share_its_effects() -> None:
    two = [{"text": "가"}, {"text": "나", "fill": "#ffe000"}]
    layer = {"role": "headline", "spans": two, "stroke": {}, "shadows": [{}]}
    spec = OverlaySpec.model_validate({"layers": [layer]})
    (item,), _, _ = prepare_items(spec)
    site = stack.Site(Rect(0, 0, 400, 400), (), ("start",), (0.0,), 400)
    placed = stack.place([item], site, map_costs(plain(400, 400)), fitting.RULES)
    assert placed is not None
    read = word_masks.read(placed.texts[0], 400, 400)
    parts = word_masks.dress(read, [(255, 255, 255), (255, 224, 0)])
    assert len(parts) == 2
    assert parts[0].under is parts[1].under
    assert len(parts[0].under) == 2
