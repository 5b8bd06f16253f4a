from __future__ import annotations

import numpy as np
import pytest

from training.second.render import render
from training.second.scene import Ground, Item, Scene
from training.second.styles_world import STYLES, layers, render_in

SCENE = Scene((Item("lemon"),), Ground("table", "pink", "light yellow"), position="right")


def test_coverage_counts_items_and_not_their_shadows() -> None:
    parts = layers(SCENE)
    changed = np.abs(parts.picture - parts.ground).max(axis=-1) > 0.02
    covered = parts.items[..., 0] > 0.02
    assert (changed & ~covered).any()  # the shadow
    assert covered.mean() > 0.05


@pytest.mark.parametrize("style", STYLES)
def test_a_style_changes_the_picture_and_keeps_the_place(style: str) -> None:
    plain, drawn = render(SCENE).astype(int), render_in(style, SCENE).astype(int)
    assert drawn.shape == plain.shape
    assert np.abs(plain - drawn).mean() > 5
    moved = render_in(style, SCENE, (-64, 0)).astype(int)
    assert np.abs(moved - drawn).max() > 50
    assert np.abs(moved[:150, :150] - drawn[:150, :150]).max() <= 3


def test_styles_differ() -> None:
    drawn = [render_in(style, SCENE).tobytes() for style in STYLES]
    assert len(set(drawn)) == len(STYLES)
