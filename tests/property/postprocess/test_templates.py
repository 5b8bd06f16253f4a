"""Templates filled with random words on random pictures: inside, apart, and legible as seen."""

from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.canvas.masks import Tile
from deployments.postprocess.design.fitting import SetText
from deployments.postprocess.design.names import template_names
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.painting import backings, compose, word_masks
from deployments.postprocess.painting.paint import Paint, paint
from deployments.postprocess.painting.word_masks import WordMasks
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.placements import Output
from deployments.postprocess.schema.reports import OverlayReport
from serve.commands import gallery
from serve.settings import AppArgs, find_brands
from tests.unit.postprocess.pictures import disc, noise, plain

words = st.one_of(
    st.sampled_from(
        [
            "여름 한정 신메뉴 출시, 지금 바로!",
            "₩8,900",
            "Fresh coffee",
            "Roasted the day before you drink it, every single day of the year",
            "夏の新メニュー登場",
        ]
    ),
    st.text("가나다라 마바사 ABC xyz 012 ,.!%", min_size=1, max_size=80),
)
roles = st.sampled_from(["headline", "sub", "price", "cta", "legal", "badge", "custom"])
layers = st.lists(
    st.fixed_dictionaries({"role": roles, "text": words}),
    min_size=1,
    max_size=7,
    unique_by=lambda layer: layer["role"],
)
boxes = st.fixed_dictionaries(
    {
        "x": st.floats(0, 0.6),
        "y": st.floats(0, 0.6),
        "width": st.floats(0.05, 0.35),
        "height": st.floats(0.05, 0.35),
    }
)
specs = st.fixed_dictionaries(
    {"layers": layers, "template": st.sampled_from(template_names())},
    optional={
        "protect": st.lists(boxes, max_size=1),
        "safe_area": st.fixed_dictionaries({"top": st.floats(0, 0.2), "left": st.floats(0, 0.2)}),
        "min_contrast": st.sampled_from([3.0, 4.5, 7.0]),
        "ai_label": st.sampled_from(["none", "visible"]),
    },
).map(OverlaySpec.model_validate)
sides = st.integers(160, 420)
pictures = st.one_of(
    st.builds(plain, sides, sides, st.tuples(*[st.integers(0, 255)] * 3)),
    st.builds(noise, sides, sides, st.integers(0, 99)),
    st.builds(disc, sides, sides, st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8))),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(picture=pictures, spec=specs)
def test_words_stay_inside_apart_and_legible_or_a_warning_stands(
    picture: np.ndarray, spec: OverlaySpec
) -> None:
    done = finish_picture(picture, spec, None, Output("png"), {})
    assert done.report is not None, done.warnings
    height, width = picture.shape[:2]
    apart_and_inside(done.report)
    drawn = [Rect(*layer.box) for layer in done.report.layers]
    for box in spec.protect:
        guarded = Rect(box.x * width, box.y * height, box.width * width, box.height * height)
        assert not any(rect.grow(-1).overlaps(guarded) for rect in drawn)
    for layer in done.report.layers:
        said = any(w.startswith(f"layer {layer.index} ") and "contrast" in w for w in done.warnings)
        assert layer.contrast_p10 >= spec.min_contrast or said
    indices = {layer.index for layer in done.report.layers}
    for index in range(len(spec.layers)):
        assert index in indices or any(w.startswith(f"layer {index} ") for w in done.warnings)


def apart_and_inside(report: OverlayReport) -> None:
    safe = Rect(*report.safe_area)
    drawn = [Rect(*layer.box) for layer in report.layers]
    assert all(safe.contains(rect, slack=2) for rect in drawn)
    assert not any(a.grow(-1).overlaps(b.grow(-1)) for a, b in combinations(drawn, 2))


TOLD = {
    "event-ja-feed_portrait.webp": (
        "template: the panel under its offer has no room; it was left out",
    )
}


@pytest.fixture(scope="module")
def shown() -> dict[str, np.ndarray]:
    return gallery.pictures()


@pytest.mark.parametrize("entry", gallery.plan(), ids=lambda entry: entry.file)
def test_the_gallerys_words_are_legible_in_the_final_pixels(
    entry: gallery.Entry, shown: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judged by this file's own arithmetic, on the advert and on the same without its letters."""
    final, report = advert(shown[entry.picture], entry)
    apart_and_inside(report)
    assert len(report.layers) == len(entry.words)
    paint_no_letters(monkeypatch)
    backed, _ = advert(shown[entry.picture], entry)
    for layer in report.layers:
        left, top, width, height = layer.box
        window = np.s_[max(0, top) : top + height, max(0, left) : left + width]
        assert legibility(final[window], backed[window], layer.fill) >= 4.5, layer


def advert(picture: np.ndarray, entry: gallery.Entry) -> tuple[np.ndarray, OverlayReport]:
    brands = find_brands(AppArgs())
    made = finish_picture(picture, entry.spec(), entry.placement, Output("png"), {}, brands)
    assert made.report is not None
    assert made.warnings == TOLD.get(entry.file, ())
    pixels = cv2.imdecode(np.frombuffer(made.data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), made.report


def paint_no_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the last paint, the letters', and nothing else: panels, plaques, backings stay."""
    read = word_masks.read
    letters: list[Tile] = []

    def noting(text: SetText, height: int, width: int) -> list[WordMasks]:
        parts = read(text, height, width)
        letters.extend(part.glyphs for part in parts)
        return parts

    def painting(pixels: np.ndarray, layer: Paint) -> None:
        if not any(layer.tile is tile for tile in letters):
            paint(pixels, layer)

    monkeypatch.setattr(backings, "read", noting)
    monkeypatch.setattr(compose, "paint", painting)


def legibility(final: np.ndarray, ground: np.ndarray, ink: str) -> float:
    """10th percentile of the WCAG ratio between the ink and the ground near what was drawn."""
    changed = np.abs(final.astype(int) - ground).max(axis=-1) > 60
    assert changed.any()
    near = cv2.dilate(changed.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    colour = np.array([[int(ink[i : i + 2], 16) for i in (1, 3, 5)]], float)
    one, other = relative_luminance(ground[near].astype(float)), relative_luminance(colour)[0]
    ratios = (np.maximum(one, other) + 0.05) / (np.minimum(one, other) + 0.05)
    return float(np.percentile(ratios, 10))


def relative_luminance(rgb: np.ndarray) -> np.ndarray:
    """Of (n, 3) sRGB values up to 255, as WCAG 2.x defines it."""
    share = rgb / 255
    linear = np.where(share <= 0.03928, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])
