"""What lies under and around words: outlines without holes, plates within the safe area."""

import cv2
import numpy as np
import pytest

from deployments.postprocess.canvas.canvas import Canvas
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.painting.compose import set_words
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.reports import OverlayReport
from deployments.postprocess.typesetting.text import sanitise
from tests.unit.postprocess.pictures import disc, noise, plain

GROUND = (40, 60, 140)


def drawn(
    picture: np.ndarray, clear: int = 0, **spec: object
) -> tuple[np.ndarray, OverlayReport, tuple[str, ...]]:
    height, width = picture.shape[:2]
    canvas = Canvas(picture, Rect(0, 0, width, height))
    return set_words(canvas, OverlaySpec.model_validate(spec), clear)


@pytest.mark.parametrize("width", [0.1, 0.15, 0.2])
@pytest.mark.parametrize("text", ["خصم الصيف يأتي", "일이삼… 빵!", "fiji; Ää", "นี่ ปู่", "קִיץ"])
def test_an_outline_has_no_holes(text: str, width: float) -> None:
    layer = {
        "role": "headline", "text": text, "fill": "#ffffff", "backing": "none",
        "stroke": {"colour": "#7a0010", "width": width},
    }  # fmt: skip
    pixels, report, _ = drawn(plain(500, 300, GROUND), layers=[layer])
    letters = (pixels.min(axis=2) > 200).astype(np.uint8)
    away = cv2.distanceTransform(1 - letters, cv2.DIST_L2, cv2.DIST_MASK_5)
    near = (away > 0) & (away < width * report.layers[0].font_size_px - 2)
    assert near.any()
    assert not (pixels[near] == GROUND).all(axis=1).any()


@pytest.mark.parametrize("backing", ["plate", "glass"])
@pytest.mark.parametrize("position", ["top", "bottom", "left"])
def test_plates_and_glass_stay_within_the_safe_area(backing: str, position: str) -> None:
    picture = noise(400, 700, 3)
    layers = [
        {"role": "headline", "text": "Launch night", "backing": backing},
        {"role": "sub", "text": "Reserve your seat today", "backing": backing},
    ]
    pixels, report, _ = drawn(picture, 90, layers=layers, position=position)
    left, top, width, height = report.safe_area
    changed = (pixels != picture).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert rows[0] >= top - 1
    assert rows[-1] <= top + height + 1
    assert columns[0] >= left - 1
    assert columns[-1] <= left + width + 1


def test_a_plate_that_is_chosen_keeps_off_what_the_placement_needs() -> None:
    picture = noise(400, 700, 5)
    layers = [{"role": "legal", "text": "Terms apply to all of it"}]
    pixels, report, _ = drawn(picture, 90, layers=layers)
    assert report.layers[0].backing == "plate"
    assert np.array_equal(pixels[:90], picture[:90])
    assert np.array_equal(pixels[-90:], picture[-90:])


def test_a_disc_is_for_a_few_words_and_a_panel_that_goes_is_told_of() -> None:
    layers = [
        {"role": "headline", "text": "Grand opening"},
        {"role": "price", "text": "Free for the first 100 guests"},
        {"role": "cta", "text": "Find us"},
    ]
    picture = disc(1080, 1080, (0.5, 0.72), 0.2)
    _, report, warnings = drawn(picture, template="opening", layers=layers)
    price = next(layer for layer in report.layers if layer.role == "price")
    assert price.box[2] * price.box[3] < 0.2 * 1080 * 1080
    assert any("panel" in warning for warning in warnings)


@pytest.mark.parametrize("letter", ["S", "я", "o"])
def test_marks_heaped_on_a_letter_are_held_in_bounds(letter: str) -> None:
    heap = "\u0337\u0322\u031b\u0324\u0317\u0331\u0354\u0329\u035d"
    layers = [
        {"role": "headline", "text": (letter + heap) * 4},
        {"role": "sub", "text": "normal text below"},
    ]
    _, report, warnings = drawn(plain(600, 600, GROUND), layers=layers)
    assert any("heaped" in warning for warning in warnings)
    assert sum(char in heap for char in report.layers[0].lines[0]) == 12


def test_marks_that_languages_write_are_kept() -> None:
    for text in ("Ắ Ộ Ệ", "שָׁלוֹם", "مُحَمَّدٌ", "น้ำปั๊ม", "བོད་སྐད", "a\u0304\u0301\u0323"):
        assert sanitise(text)[1] == ()
