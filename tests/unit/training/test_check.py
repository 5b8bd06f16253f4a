from __future__ import annotations

import random
from dataclasses import astuple

import numpy as np
import pytest

from training.check import Verdict, compare, judge, nearest_colour, read
from training.scenes import sample_scene
from training.world import COLOURS, Item, Scene, render

COUNT = 36


def _scenes(seed: int) -> list[Scene]:
    rng = random.Random(seed)
    return [sample_scene(rng, held_out=True) for _ in range(COUNT)]


def test_reads_its_own_renders_and_falls_to_chance_when_shuffled() -> None:
    scenes = _scenes(0)
    readings = [read(render(scene), 2) for scene in scenes]

    def verdicts(asked: list[Scene]) -> list[Verdict]:
        return [
            compare(background, found[: len(scene.items)], scene)
            for (background, found), scene in zip(readings, asked, strict=True)
        ]

    right = verdicts(scenes)
    assert sum(all(part is not False for part in astuple(one)) for one in right) >= 0.98 * COUNT
    wrong = verdicts(scenes[1:] + scenes[:1])
    assert sum(one.background for one in wrong) <= 0.3 * COUNT
    assert sum(one.object for one in wrong) <= 0.15 * COUNT
    assert sum(one.position for one in wrong) <= 0.5 * COUNT
    colours = [one.colour for one in wrong if one.colour is not None]
    assert sum(colours) <= 0.4 * len(colours)


def test_noise_and_small_shifts_do_not_confuse_it() -> None:
    rng = np.random.default_rng(0)
    for scene in _scenes(1)[:8]:
        noisy = render(scene, shift=(4, -4)) + rng.normal(0, 8, (scene.height, scene.width, 3))
        verdict = judge(noisy.clip(0, 255).astype(np.uint8), scene)
        assert verdict.background
        assert verdict.object
        assert verdict.position


@pytest.mark.parametrize(
    ("asked", "axis"),
    [
        (Scene((Item("star", "red"),), "green", position="left"), "background"),
        (Scene((Item("star", "yellow"),), "blue", position="left"), "colour"),
        (Scene((Item("heart", "red"),), "blue", position="left"), "object"),
        (Scene((Item("star", "red"),), "blue", position="right"), "position"),
        (Scene((Item("star", "red"),), "blue", size="small", position="left"), "size"),
    ],
)
def test_each_axis_notices_its_own_error(asked: Scene, axis: str) -> None:
    picture = render(Scene((Item("star", "red"),), "blue", position="left"))
    assert getattr(judge(picture, asked), axis) is False


def test_swapped_relation_is_an_error_of_position() -> None:
    pair = (Item("cat"), Item("dog"))
    verdict = judge(
        render(Scene(pair, "red", relation="above")), Scene(pair, "red", relation="below")
    )
    assert verdict.object
    assert not verdict.position


def test_an_empty_picture_shows_nothing() -> None:
    picture = np.full((256, 256, 3), COLOURS["red"], np.uint8)
    verdict = judge(picture, Scene((Item("cat"),), "red"))
    assert verdict.background
    assert not verdict.object
    assert not verdict.position


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_named_by_the_nearest(name: str) -> None:
    assert nearest_colour(np.asarray(COLOURS[name]) + 6) == name
