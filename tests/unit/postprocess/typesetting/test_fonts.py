"""Faces: which there are, which are tried for which words, and the user's own."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from deployments.errors import InvalidValue
from deployments.postprocess.canvas.canvas import Canvas
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.design.items import prepare_items
from deployments.postprocess.painting.compose import set_words
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.reports import LayerReport
from deployments.postprocess.typesetting import drawing, fonts, lines, metrics
from deployments.postprocess.typesetting.drawing import Typeface
from deployments.postprocess.typesetting.fontfile import read_face
from tests.unit.postprocess.pictures import plain
from tests.unit.postprocess.typesetting.fontmaker import make_font


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    fonts.use_folder(None)


@pytest.mark.parametrize(
    ("text", "lang", "order"),
    [
        ("한글 Sale ₩8,900", "ko", ("Noto Sans KR",)),
        ("骨", "ja-JP", ("Noto Sans JP",)),
        ("骨", "zh-TW", ("Noto Sans TC",)),
        ("骨", "zh", ("Noto Sans SC",)),
        ("Fresh bread", "en", ("Noto Sans KR",)),
        ("Świeży chleb", "pl", ("Noto Sans",)),
        ("Ελλάδα", "el", ("Noto Sans",)),
        ("Привет", "ru", ("Noto Sans",)),
        ("한글 Świeży", "ko", ("Noto Sans", "Noto Sans KR")),
        ("خصم 50% SALE", "ar", ("Noto Sans Arabic",)),
        ("מבצע", "he", ("Noto Sans Hebrew",)),
        ("ลดราคา", "th", ("Noto Sans Thai",)),
        ("छूट", "hi", ("Noto Sans Devanagari",)),
    ],
)
def test_the_words_decide_the_faces(text: str, lang: str, order: tuple[str, ...]) -> None:
    assert fonts.order(text, lang) == order
    assert fonts.missing(text, order) == ""


def test_the_face_asked_for_comes_first_where_it_can() -> None:
    assert fonts.order("한글", "ko", "Noto Sans JP")[-1] == "Noto Sans KR"
    assert fonts.order("Sale 한글", "ko", "Inter") == ("Inter", "Noto Sans KR")
    assert fonts.order("Świeży", "pl", "Noto Sans KR") == ("Noto Sans",)


def test_missing_glyphs_are_named_and_taken_out() -> None:
    text = "빵 🍞 \U00012000\u200b"
    assert fonts.missing(text, fonts.order(text, "ko")) == "\U00012000"
    assert fonts.without("빵 \U00012000\ufe0f굽는 집", ("Noto Sans KR",)) == "빵 굽는 집"
    assert fonts.without("र्\u200dय \U00012000", ("Noto Sans Devanagari",)) == "र्\u200dय "


def test_every_packaged_face_tells_its_licence() -> None:
    described = fonts.described()
    assert described["Noto Sans KR"]["weights"] == "100-900"
    assert all("Open Font License" in str(face["licence"]) for face in described.values())


def test_own_fonts_are_chosen_by_name_and_weight(folder: Path) -> None:
    make_font(folder / "a.ttf", "Boxes", 400, "AB")
    make_font(folder / "sub" / "b.ttf", "Boxes", 700, "AB", width=900)
    (folder / "sub" / "LICENSE.txt").write_text("Do as you like.", encoding="utf-8")
    fonts.use_folder(str(folder))
    assert fonts.described()["Boxes"]["weights"] == "400, 700"
    assert read_face(folder / "sub" / "b.ttf").licence == "Do as you like."
    assert fonts.nearest_weight("Boxes", 800) == 700
    widths = [Typeface(("Boxes",), weight, 0.0, "en").advance("AB") for weight in (400, 700)]
    assert widths == pytest.approx([1.0, 1.8], abs=0.01)
    spec = {"layers": [{"role": "headline", "text": "AB 한글", "font": "Boxes", "weight": 500}]}
    items, problems, _ = prepare_items(OverlaySpec.model_validate(spec))
    assert items[0].face.families == ("Boxes", "Noto Sans KR")
    assert "no weight 500; 400 it is" in problems[0]


def test_an_unsuitable_face_is_a_problem() -> None:
    layers = [{"role": "headline", "text": "여름", "font": "Inter"}]
    _, problems, _ = prepare_items(OverlaySpec.model_validate({"layers": layers}))
    assert problems == ["layer 0 (headline): Inter lacks these letters; it is set in Noto Sans KR"]


@pytest.mark.parametrize("field", [{"font": "Comic Sans"}, {"line_break": "phrase", "lang": "ko"}])
def test_what_is_not_there_is_refused_by_field(field: dict[str, str]) -> None:
    layers = [{"role": "headline", "text": "여름", **field}]
    with pytest.raises(InvalidValue) as caught:
        prepare_items(OverlaySpec.model_validate({"layers": layers}))
    assert caught.value.param == f"overlay.layers.0.{next(iter(field))}"


def test_bad_font_files_are_refused_by_name(folder: Path) -> None:
    make_font(folder / "whole.ttf", "Boxes", 400, "AB")
    data = (folder / "whole.ttf").read_bytes()
    for name, content in {
        "text.ttf": b"not a font",
        "empty.otf": b"",
        "cut.ttf": data[: len(data) - 60],
        "web.woff2": data,
    }.items():
        (folder / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            fonts.use_folder(str(folder))
        (folder / name).unlink()
    make_font(folder / "twin.ttf", "Noto Sans KR", 400, "AB")
    with pytest.raises(ValueError, match=r"twin\.ttf.*packaged already"):
        fonts.use_folder(str(folder))
    with pytest.raises(ValueError, match="no such folder"):
        fonts.use_folder(str(folder / "nowhere"))


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("ปั๊มน้ำมันที่นี่ ฐู", "th"),
        ("र्क्रूँ हिन्दी क्षेत्र", "hi"),
        ("مُحَمَّدٌ إِلَى", "ar"),
        ("שָׁלוֹם", "he"),
        ("Ắ Ộ Ệ gyj", "vi"),
    ],
)
def test_lines_are_high_enough_for_their_marks(text: str, lang: str) -> None:
    families = fonts.order(text, lang)
    face = Typeface(families, 800, 0.0, lang, metrics.sink(families[0], text))
    high = metrics.leading(face, text, 1.16)
    line = lines.Line(text, face.advance(text), rtl=lang in ("ar", "he"))
    tile = drawing.glyphs(drawing.Setting(face, (line,), 100, high, "start"), 0, 0)
    rows = [tile.y + row for row in tile.mask.max(axis=1).nonzero()[0]]
    assert rows[0] >= -1
    assert rows[-1] <= 100 * high + 1


def test_plain_words_keep_the_leading_of_their_role() -> None:
    face = Typeface(("Noto Sans KR",), 800, 0.0, "ko", 0.05)
    assert metrics.leading(face, "여름 Sale ₩8,900", 1.16) == 1.16


def test_the_packages_are_where_they_are_said_to_be() -> None:
    assert (Path(str(files("justmytype_intl_cjk"))) / "fonts").is_dir()
    assert [face.family for face in fonts.faces()] == list(fonts.choices())


@pytest.fixture
def emoji(folder: Path) -> None:
    (folder / "emoji.ttf").write_bytes((Path(__file__).parent / "fonts/emoji.ttf").read_bytes())
    fonts.use_folder(str(folder))


@pytest.mark.usefixtures("emoji")
def test_emoji_of_an_own_face_keep_their_colours() -> None:
    assert "Noto Color Emoji" not in fonts.choices()
    words, report = drawn({"role": "headline", "text": "빵 🍞", "fill": "#ffffff"})
    assert report.missing_glyphs == ""
    orange, white = is_orange(words), (words == 255).all(axis=2)
    assert orange.sum() > 50
    assert white.sum() > 50
    assert np.nonzero(white.any(axis=0))[0].min() < np.nonzero(orange.any(axis=0))[0].min()


@pytest.mark.usefixtures("emoji")
def test_emoji_stand_alone_and_are_struck_through_in_ink() -> None:
    alone, report = drawn({"role": "headline", "text": "🍞"})
    assert report.font == "Noto Color Emoji"
    assert is_orange(alone).sum() > 50
    span = {"text": "🍞", "strike": True, "fill": "#ffffff"}
    struck, _ = drawn({"role": "headline", "spans": [span]})
    through = np.nonzero((struck == 255).all(axis=2).sum(axis=1) > 0.8 * struck.shape[1])[0]
    assert 1 <= len(through) <= 0.15 * struck.shape[0]
    assert is_orange(struck)[: through[0]].any()
    assert is_orange(struck)[through[-1] + 1 :].any()


def drawn(layer: dict[str, object]) -> tuple[np.ndarray, LayerReport]:
    """The layer's own pixels on a blue picture, with its report; no warning may stand."""
    spec = OverlaySpec.model_validate({"layers": [layer]})
    canvas = Canvas(plain(300, 200, (40, 60, 140)), Rect(0, 0, 300, 200))
    pixels, report, warnings = set_words(canvas, spec)
    assert warnings == ()
    left, top, width, height = report.layers[0].box
    return pixels[top : top + height, left : left + width].astype(int), report.layers[0]


def is_orange(pixels: np.ndarray) -> np.ndarray:
    return (pixels[..., 0] > 180) & (pixels[..., 2] < 100)
