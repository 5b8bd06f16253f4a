"""The subject of a photograph told from its ground."""

import numpy as np
import pytest
from skimage import data

from deployments.postprocess.intake import cutout
from deployments.postprocess.intake.cutout import cut_out, without_ground
from tests.unit.postprocess.artworks import bottle
from tests.unit.postprocess.pictures import disc, plain


def overlap(alpha: np.ndarray, inside: np.ndarray) -> float:
    found = alpha > 127
    return float((found & inside).sum() / (found | inside).sum())


def test_a_product_is_found_without_its_shadow() -> None:
    photo, inside = bottle()
    found = cut_out(photo)
    assert found is not None
    assert found.doubt is None
    assert overlap(found.alpha, inside) > 0.97


def test_the_ground_shows_through_a_hole() -> None:
    picture = disc(300, 300, radius=0.3)
    hole = disc(300, 300, radius=0.12, ground=(0, 0, 0), colour=(255, 255, 255))[..., 0] > 127
    picture[hole] = (235, 240, 236)
    found = cut_out(picture)
    assert found is not None
    assert found.alpha[150, 150] == 0
    assert found.alpha[150, 210] == 255


def test_a_busy_ground_is_told_to_be_one() -> None:
    coffee = data.coffee()
    found = cut_out(coffee)
    assert found is not None
    assert found.doubt == "the ground is not plain"
    assert found.alpha[200, 300] > 250  # the cup
    assert found.alpha[20, 20] == 0  # the table


@pytest.mark.parametrize(
    ("picture", "doubt"),
    [
        (data.coins(), "in many pieces"),
        (data.moon(), "in many pieces"),
        (data.clock(), "outline is faint"),  # blurred by motion
        (data.brick(), "all four sides"),
        (disc(300, 300, radius=0.07), "takes 2% of the picture"),
    ],
    ids=["coins", "moon", "clock", "brick", "small"],
)
def test_what_looks_like_no_single_thing_is_doubted(picture: np.ndarray, doubt: str) -> None:
    rgb = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=-1)
    found = cut_out(rgb)
    assert found is not None
    assert found.doubt is not None
    assert doubt in found.doubt


@pytest.mark.parametrize("side", [4, 5])
def test_an_outline_beside_the_edges_of_the_picture_is_doubted(side: int) -> None:
    picture, inside = disc(300, 300, radius=0.3), disc(300, 300, radius=0.3)[..., 1] < 150
    assert cutout.find_doubt(picture, inside) is None
    beside = np.roll(inside, 10 * side, axis=1)
    assert cutout.find_doubt(picture, beside) == "its outline is faint"


def test_two_of_a_pair_are_one_product() -> None:
    pair = disc(500, 300, centre=(0.28, 0.5), radius=0.3)
    right = disc(500, 300, centre=(0.72, 0.5), radius=0.3)
    pair[right[..., 1] < 150] = (220, 60, 40)
    found = cut_out(pair)
    assert found is not None
    assert found.doubt is None


def test_nothing_is_found_where_nothing_is() -> None:
    assert cut_out(plain(200, 200)) is None
    assert cut_out(plain(5, 300)) is None


def test_the_same_photo_is_cut_the_same() -> None:
    first, second = cut_out(data.astronaut()), cut_out(data.astronaut())
    assert first is not None
    assert second is not None
    assert np.array_equal(first.alpha, second.alpha)


def test_soft_edges_take_the_subjects_colour_and_the_inside_stays() -> None:
    picture = disc(200, 200, radius=0.3)
    found = cut_out(picture)
    assert found is not None
    cut = without_ground(picture, found.alpha)
    inside = found.alpha == 255
    assert np.array_equal(cut[..., :3][inside], picture[inside])
    soft = (found.alpha > 0) & ~inside
    assert soft.any()
    off = np.abs(cut[..., :3][soft].astype(int) - (220, 60, 40)).max(axis=-1)
    assert off.mean() < 20
    mixed = np.abs(picture[soft].astype(int) - (220, 60, 40)).max(axis=-1)
    assert mixed.mean() > 3 * off.mean()
