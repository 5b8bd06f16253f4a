"""Words stand in the part that a prompt left empty, wherever the placement puts it."""

from typing import Any

import pytest

from deployments.postprocess.canvas.canvas import Canvas, to_placement
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.placing import copy_space
from deployments.postprocess.schema.overlay import Box, OverlaySpec, TextLayer
from deployments.postprocess.schema.placements import Output
from deployments.postprocess.schema.reports import Finished
from tests.unit.postprocess.pictures import noise, plain

LAYERS = [TextLayer(role="headline", text="Grand opening"), TextLayer(role="sub", text="Saturday")]
MIDDLE = {"left": (0.25, 0.5), "right": (0.75, 0.5), "top": (0.5, 0.25), "bottom": (0.5, 0.75)}


def made(space: Any, placement: str | None = None) -> Finished:
    spec = OverlaySpec(layers=LAYERS, copy_space=space)
    return finish_picture(noise(512, 512), spec, placement, Output("jpeg"), {})


def boxes(done: Finished) -> list[Rect]:
    assert done.report is not None
    return [Rect(*layer.box) for layer in done.report.layers]


@pytest.mark.parametrize("side", sorted(MIDDLE))
def test_words_stand_in_that_half(side: str) -> None:
    half = Rect((side == "right") * 256, (side == "bottom") * 256, 512, 512)
    half = half.clip(Rect(0, 0, 256 if side == "left" else 512, 256 if side == "top" else 512))

    for box in boxes(made(side)):
        assert half.contains(box, slack=4)


def test_words_stand_in_that_box_after_the_picture_was_cut_too() -> None:
    box = Box(x=0.55, y=0.3, width=0.45, height=0.4)
    assert all(Rect(280, 150, 232, 208).contains(one, slack=4) for one in boxes(made(box)))
    canvas = to_placement(noise(512, 512), 1200, 628, with_words=True)
    space = canvas.from_picture(box.shares)
    assert space.area < 0.9 * 0.45 * 1200 * 0.4 * 1200  # some of it is gone
    assert all(space.contains(one, slack=8) for one in boxes(made(box, "banner")))


def test_a_space_that_was_cut_away_is_told_of() -> None:
    cut = made(Box(x=0.1, y=0.9, width=0.8, height=0.1), "banner")

    assert any(warning.startswith("copy_space: ") for warning in cut.warnings)


def test_a_half_includes_what_the_canvas_has_beyond_the_picture() -> None:
    canvas = Canvas(plain(400, 200), Rect(100, 0, 200, 200))

    left = copy_space.on(canvas, "left")
    assert left == Rect(0, 0, 200, 200)
    assert copy_space.around(left, canvas) == [Rect(200, 0, 200, 200)]
    assert copy_space.around(None, canvas) == []
