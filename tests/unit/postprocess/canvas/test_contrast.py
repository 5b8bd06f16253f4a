"""Contrast against published values, and the least backing that is enough."""

import numpy as np
import pytest

from deployments.postprocess.canvas import contrast, masks
from deployments.postprocess.design.palette import accent_colour, pill_colours
from deployments.postprocess.schema.colour import BLACK, WHITE, Colour, contrast_between, ink_on
from tests.unit.postprocess.pictures import disc, noise, plain


@pytest.mark.parametrize(
    ("one", "other", "published"),
    [
        ((0, 0, 0), (255, 255, 255), 21.0),
        ((118, 118, 118), (255, 255, 255), 4.54),  # WCAG's familiar #767676
        ((119, 119, 119), (255, 255, 255), 4.48),
        ((255, 0, 0), (255, 255, 255), 4.0),
        ((0, 0, 255), (255, 255, 255), 8.59),
    ],
)
def test_ratios_are_wcags(one: Colour, other: Colour, published: float) -> None:
    assert contrast_between(one, other) == pytest.approx(published, abs=0.006)


def test_the_tenth_percentile_sees_what_the_mean_hides() -> None:
    ground = np.array([(0, 0, 0)] * 85 + [(255, 255, 255)] * 15, np.uint8)
    assert contrast.p10(ground, WHITE) == pytest.approx(1.0)


def test_least_alpha_is_enough_and_least() -> None:
    ground = noise(64, 64).reshape(-1, 3)
    mask = np.full(len(ground), 255, np.uint8)
    alpha = contrast.least_alpha(ground, mask, (0, 0, 0), WHITE, 4.5)
    assert alpha is not None
    enough, less = (
        masks.blend(ground[None], mask[None], (0, 0, 0), a)[0] for a in (alpha, alpha - 2 / 255)
    )
    assert contrast.p10(enough, WHITE) >= 4.5
    assert contrast.p10(less, WHITE) < 4.5


def test_what_cannot_be_reached_is_none() -> None:
    ground = np.full((50, 3), 200, np.uint8)
    mask = np.full(50, 255, np.uint8)
    assert contrast.least_alpha(ground, mask, (0, 0, 0), (120, 120, 120), 7.0) is None


def test_ink_is_light_on_dark_and_dark_on_light() -> None:
    for colour, expected in (((20, 30, 60), WHITE), ((250, 220, 90), BLACK)):
        ground = plain(8, 8, colour).reshape(-1, 3)
        assert contrast.choose_ink(ground, WHITE, BLACK, 4.5) == expected


def test_a_neighbourhood_reaches_around_the_glyph() -> None:
    coverage = np.zeros((21, 21), np.uint8)
    coverage[10, 10] = 255
    near = masks.neighbourhood(coverage, 3)
    assert near[10, 13]
    assert not near[10, 14]


def test_the_accent_is_the_subjects_colour_and_carries_words() -> None:
    colour = accent_colour(disc(colour=(30, 90, 220)))
    assert colour is not None
    assert colour[2] > 1.5 * colour[0]
    assert contrast_between(colour, ink_on(colour)) >= 4.5
    assert accent_colour(plain()) is None


def test_a_button_stands_out_or_takes_the_words_ink() -> None:
    picture = disc(colour=(250, 200, 60), ground=(250, 250, 250))
    ground = plain(8, 8, (250, 250, 250)).reshape(-1, 3)
    pill, ink = pill_colours(accent_colour(picture), ground, 4.5, BLACK)
    assert contrast.p10(ground, pill) >= 3.0
    assert contrast_between(pill, ink) >= 4.5
