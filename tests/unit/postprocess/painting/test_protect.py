"""What an overlay protects is as the picture has it, whatever is painted."""

from typing import Any

import numpy as np
import pytest

from deployments.postprocess.canvas.canvas import Canvas
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.design.names import template_names
from deployments.postprocess.painting.compose import set_words
from deployments.postprocess.schema.overlay import OverlaySpec
from tests.unit.postprocess.pictures import noise

SIDE = 400
BOXES = [
    {"x": 0.0, "y": 0.3, "width": 0.2, "height": 0.35},
    {"x": 0.4, "y": 0.0, "width": 0.3, "height": 0.12},
    {"x": 0.7, "y": 0.55, "width": 0.3, "height": 0.45},
]
EFFECTS = [
    {},
    {"stroke": {"colour": "#ffffff", "width": 0.2}},
    {"shadows": [{"y": 0.5, "x": 0.5, "blur": 0.6}]},
]


def drawn(picture: np.ndarray, **spec: Any) -> np.ndarray:
    rows, columns = picture.shape[:2]
    asked = OverlaySpec.model_validate(spec)
    pixels, report, _ = set_words(Canvas(picture, Rect(0, 0, columns, rows)), asked)
    assert report.layers
    return pixels


def inside(box: dict[str, float], pixels: np.ndarray) -> np.ndarray:
    left, top = round(box["x"] * SIDE), round(box["y"] * SIDE)
    return pixels[top : top + round(box["height"] * SIDE), left : left + round(box["width"] * SIDE)]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("backing", ["auto", "scrim", "plate", "glass", "shadow", "outline"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_no_backing_nor_effect_covers_it(
    box: dict[str, float], backing: str, effect: dict[str, Any]
) -> None:
    picture = noise(SIDE, SIDE, 3)
    layers = [
        {"role": "headline", "text": "Fresh every morning", "backing": backing, **effect},
        {"role": "sub", "text": "Roasted the day before you drink it", "backing": backing},
        {"role": "cta", "text": "Order now"},
    ]
    pixels = drawn(picture, layers=layers, protect=[box])
    assert np.array_equal(inside(box, pixels), inside(box, picture))
    assert not np.array_equal(pixels, picture)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("template", template_names())
def test_no_template_covers_it(box: dict[str, float], template: str) -> None:
    picture = noise(SIDE, SIDE, 3)
    layers = [{"role": "headline", "text": "Fresh"}, {"role": "price", "text": "$4"}]
    pixels = drawn(picture, layers=layers, protect=[box], template=template)
    assert np.array_equal(inside(box, pixels), inside(box, picture))


def test_a_scrim_ends_softly_before_it() -> None:
    picture = np.full((SIDE, SIDE, 3), 128, np.uint8)
    box = {"x": 0.0, "y": 0.7, "width": 0.25, "height": 0.3}
    layers = [{"role": "headline", "text": "Fresh", "backing": "scrim"}]
    pixels = drawn(
        picture, layers=layers, position="bottom", protect=[box], min_contrast=10
    ).astype(int)
    row = pixels[SIDE - 3, :140, 0]  # from the box into the scrim, below the words
    assert abs(row[-1] - 128) > 40
    assert np.abs(np.diff(row)).max() < 16
