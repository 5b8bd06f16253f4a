"""Placements: what is kept, what is extended, where the picture went."""

import numpy as np
import pytest

from deployments.postprocess.canvas.canvas import extend, to_placement
from deployments.postprocess.canvas.framing import SIDES, frame, is_plain
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.canvas.masks import Tile
from deployments.postprocess.painting.paint import Paint, paint
from deployments.postprocess.schema.placements import PLACEMENTS
from tests.unit.postprocess.pictures import disc, noise, plain


@pytest.mark.parametrize("name", sorted(set(PLACEMENTS) - {"a4"}))
def test_the_canvas_has_the_placements_size_and_the_whole_subject(name: str) -> None:
    placement = PLACEMENTS[name]
    picture = disc(centre=(0.4, 0.55), radius=0.3)
    canvas = to_placement(picture, placement.width, placement.height)
    assert canvas.pixels.shape == (placement.height, placement.width, 3)
    red = np.count_nonzero(canvas.pixels[..., 1] < 150)
    scale = canvas.picture.width / picture.shape[1]
    assert red == pytest.approx(np.count_nonzero(picture[..., 1] < 150) * scale**2, rel=0.03)


def test_a_picture_of_that_size_stays_as_it_is() -> None:
    picture = noise(120, 80)
    canvas = to_placement(picture, 120, 80)
    assert np.array_equal(canvas.pixels, picture)
    assert canvas.pixels is not picture


def test_words_get_room_on_plain_ground_unless_there_is_some() -> None:
    middle = frame(disc(), 1920, 1080, with_words=True)
    assert middle.x + middle.width / 2 > 0.6 * 1920
    left = frame(disc(centre=(0.3, 0.5), radius=0.2), 1920, 1080, with_words=True)
    assert left.x + 0.3 * left.width < 0.4 * 1920


def test_a_photograph_is_cut_when_most_stays_and_extended_otherwise() -> None:
    photo = noise(300, 200)
    cut = frame(photo, 300, 240)
    assert (cut.x <= 0, cut.right >= 300, cut.height == pytest.approx(240)) == (True, True, True)
    protected = frame(photo, 120, 400, protect=[Rect(10, 10, 280, 180)])
    assert protected.x + 10 * protected.width / 300 >= -1e-6
    assert protected.height < 400


def test_a_wide_photograph_is_cut_to_a_tall_placement_around_what_draws_the_eye() -> None:
    photo = street(600, 400, lamps=(0.72,))
    cut = frame(photo, 1080, 1920)
    assert (cut.y, cut.height) == (0, pytest.approx(1920))
    lamp = cut.x + 0.72 * cut.width
    assert 0.25 * 1080 < lamp < 0.75 * 1080
    assert cut.x <= 0 <= 1080 <= cut.right


def test_a_photograph_that_a_cut_would_halve_is_extended() -> None:
    shown = frame(street(1200, 400, lamps=(0.1, 0.9)), 1080, 1920)
    assert shown.height < 1920
    assert shown.x + 0.1 * shown.width > 0
    assert shown.x + 0.9 * shown.width < 1080


def street(width: int, height: int, lamps: tuple[float, ...]) -> np.ndarray:
    """Grey pavement of small stones, with bright tall lamps; their middles in fractions."""
    photo = (noise(width, height) // 3 + 60).astype(np.uint8)
    for at in lamps:
        left = int(at * width) - 20
        photo[height // 5 :, left : left + 40] = (255, 190, 20)
    return photo


def test_boxes_follow_the_picture_onto_the_canvas() -> None:
    canvas = to_placement(disc(256, 256, centre=(0.5, 0.5)), 1920, 1080, with_words=True)
    box = canvas.from_picture((0.25, 0.25, 0.5, 0.5))
    inside = canvas.pixels[int(box.y) : int(box.bottom), int(box.x) : int(box.right)]
    red = np.count_nonzero(canvas.pixels[..., 1] < 150)
    assert np.count_nonzero(inside[..., 1] < 150) > 0.99 * red


def test_plain_edges_continue_without_a_seam() -> None:
    wide = extend(disc(200, 200, radius=0.2), 0, 0, 100, 100)
    assert wide.shape == (200, 400, 3)
    assert np.abs(wide[:, :100].astype(int) - (235, 240, 236)).max() <= 2
    assert is_plain(wide, SIDES)
    assert not is_plain(noise(), SIDES)


def test_paint_is_cut_at_the_canvas() -> None:
    pixels = plain(10, 10, (0, 0, 0))
    paint(pixels, Paint(Tile(np.full((6, 6), 255, np.uint8), -3, 7), (255, 255, 255), 0.5))
    assert pixels[7:, :3].min() == 128
    assert pixels[:7].max() == 0
    paint(pixels, Paint(Tile(np.full((6, 6), 255, np.uint8), 40, 40), (255, 255, 255)))
    assert pixels[:7].max() == 0


def test_an_extension_of_ones_own_choice() -> None:
    photo = disc(200, 200, radius=0.2)
    photo[:, :100] = noise(100, 200)
    blurred = extend(photo, 0, 0, 100, 100, "blur")
    coloured = extend(photo, 0, 0, 100, 100, "colour")

    assert len(np.unique(coloured[:, :90].reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(blurred[:, :90].reshape(-1, 3), axis=0)) > 100
    for made in (blurred, coloured):
        assert np.array_equal(made[:, 120:280], photo[:, 20:180])  # beyond the seam
    plainly = extend(disc(200, 200, radius=0.2), 0, 0, 100, 100, "colour")
    assert np.abs(plainly[:, :100].astype(int) - (235, 240, 236)).max() == 0


def test_a_stray_pixel_at_a_plain_edge_is_not_drawn_out_into_a_patch() -> None:
    picture = plain(160, 160, (50, 160, 80))
    picture[:8, -8:] = (70, 175, 100)  # a corner that a model drew a little off
    wider = extend(picture, 200, 0, 0, 200)
    beyond = wider[:150, -150:].astype(int)
    assert np.abs(beyond - (50, 160, 80)).max() <= 5
