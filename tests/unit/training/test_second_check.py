from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from training.second.catalogue import GROUNDS, GroundKind
from training.second.check import free_side, judge
from training.second.check_ground import read_ground
from training.second.evaluate import Scores, cases
from training.second.grounds import draw_ground
from training.second.render import render
from training.second.scene import Ground, Item, Scene
from training.second.scenes import sample_scene
from training.second.sharpness import LOST, rises

SCENE = Scene((Item("sneaker"),), Ground("plain", "yellow"), position="right")


@pytest.mark.parametrize("kind", GROUNDS)
def test_the_truth_is_read_right(kind: GroundKind) -> None:
    rng = random.Random(kind)
    for _ in range(3):
        scene = sample_scene(rng, held_out=True, kinds=(kind,))
        verdict = judge(render(scene), scene)
        assert all(right is not False for right in vars(verdict).values()), scene


def test_three_items_are_read() -> None:
    items = (Item("watch"), Item("gift"), Item("square", "pink"))
    scene = Scene(items, Ground("plain", "dark blue"), relation="between", width=768, height=384)
    assert judge(render(scene), scene).object


def test_another_scene_is_not_taken_for_it() -> None:
    other = Scene((Item("cake"),), Ground("tiles", "green"), size="large", position="left")
    verdict = judge(render(other), SCENE)
    assert not any((verdict.ground, verdict.object, verdict.position, verdict.size, verdict.space))


def test_copy_space_with_something_in_it_is_not_free() -> None:
    picture = render(SCENE)
    assert judge(picture, SCENE).space
    side = free_side(SCENE)
    assert side is not None
    marked = picture.copy()
    marked[200:260, 40:100] = 0
    assert judge(marked, SCENE).space is False


@pytest.mark.parametrize("kind", GROUNDS)
def test_a_slightly_wrong_ground_is_still_named(kind: GroundKind) -> None:
    second = "white" if kind not in ("plain", "tiles") else None
    ground = Ground(kind, "blue", second)
    noise = np.random.default_rng(0).normal(0, 0.01, (512, 512, 3))
    assert read_ground((draw_ground(ground, 512, 512) + noise + 0.01).astype(np.float32)) == ground


def test_blurred_edges_rise_longer() -> None:
    truth = render(Scene((Item("square", "red"),), Ground("plain", "white")))
    blurred = np.asarray(Image.fromarray(truth).filter(ImageFilter.GaussianBlur(2)))
    shown, true = rises(blurred, truth)
    assert np.median(true) < 1.6
    assert 4 < np.median(shown) < 7  # 2.56 times the blur


def test_edges_that_are_not_there_count_as_lost() -> None:
    truth = render(Scene((Item("square", "red"),), Ground("plain", "white")))
    shown, _ = rises(np.full_like(truth, 255), truth)
    assert set(shown) == {LOST}


def test_the_evaluation_asks_for_every_name_in_both_languages() -> None:
    asked = cases(148)
    assert len({case.scene.items[0].name for case in asked}) == 74
    assert {case.language for case in asked} == {"en", "ko"}
    assert any(case.is_long for case in asked)
    scores = Scores()
    scores.add(asked[0], judge(render(asked[0].scene), asked[0].scene))
    assert scores.share("all", "object") == 1
