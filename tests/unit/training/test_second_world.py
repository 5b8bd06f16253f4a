from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from training.second.catalogue import (
    BUCKETS,
    CELL,
    COLOURS,
    GROUNDS,
    OBJECTS,
    SHAPES,
    STAGES,
    TWO_COLOURED,
    GroundKind,
)
from training.second.grounds import draw_ground
from training.second.render import render
from training.second.scene import (
    LEAST_CONTRAST,
    Ground,
    Item,
    Scene,
    boxes,
    contrast,
    horizon,
    is_drawable,
)
from training.second.scenes import is_held_out, sample_scene
from training.second.sprites import object_sprite, shadow, sprite

PLAIN = Ground("plain", "blue")


def _ground(kind: GroundKind) -> Ground:
    return Ground(kind, "red", "light blue" if kind in TWO_COLOURED else None)


def test_the_world_is_as_large_as_promised() -> None:
    assert len(OBJECTS) >= 60
    assert len(SHAPES) == 10
    assert len(GROUNDS) == 6
    assert all(width % CELL == 0 and height % CELL == 0 for width, height in BUCKETS)


def test_everything_stands_inside_the_picture_and_apart() -> None:
    rng = random.Random(0)
    for _ in range(300):
        scene = sample_scene(rng, held_out=False)
        cells: set[tuple[int, int]] = set()
        for box in boxes(scene):
            assert box.column >= 0
            assert box.row >= 0
            assert (box.column + box.cells) * CELL <= scene.width
            assert (box.row + box.cells) * CELL <= scene.height
            taken = {
                (box.column + x, box.row + y) for x in range(box.cells) for y in range(box.cells)
            }
            assert not taken & cells
            cells |= taken


def test_training_never_sees_what_is_held_out_in_any_size() -> None:
    rng = random.Random(1)
    scene = sample_scene(rng, held_out=True)
    assert all(is_held_out(replace(scene, width=w, height=h)) for w, h in BUCKETS)
    assert not is_held_out(sample_scene(rng, held_out=False))


@pytest.mark.parametrize("kind", STAGES)
def test_things_stand_on_a_stage(kind: GroundKind) -> None:
    scene = Scene((Item("car"),), _ground(kind), size="small")
    assert is_drawable(scene)
    assert not is_drawable(replace(scene, position="top"))
    (box,) = boxes(scene)
    assert (box.row + box.cells) * CELL > horizon(scene.height)


@pytest.mark.parametrize("kind", GROUNDS)
@pytest.mark.parametrize("size", BUCKETS)
def test_a_ground_shows_its_colours(kind: GroundKind, size: tuple[int, int]) -> None:
    ground = _ground(kind)
    drawn = draw_ground(ground, *size)
    assert drawn.shape == (size[1], size[0], 3)
    for colour in (ground.colour, ground.second or ground.colour):
        wanted = np.asarray(COLOURS[colour]) / 255
        assert (np.abs(drawn - wanted).max(axis=-1) < 0.05).mean() > 0.01


def test_colours_too_close_to_be_told_apart_are_not_drawn() -> None:
    assert contrast("dark purple", "dark blue") < LEAST_CONTRAST
    assert not is_drawable(Scene((Item("star", "dark blue"),), Ground("plain", "dark purple")))
    assert not is_drawable(Scene((Item("cat"),), Ground("gradient", "dark blue", "dark purple")))


def test_a_shadow_lies_below_its_object_and_within_the_box() -> None:
    dark = shadow("car", 4)
    solid = object_sprite("car", 4)[..., 3] > 0.5
    assert dark.max() > 0.2
    assert np.nonzero(dark > 0.1)[0].mean() > np.nonzero(solid)[0].mean()
    assert dark[-1].max() < 0.02


def test_every_object_has_a_picture_of_its_own() -> None:
    drawn = [sprite(Item(name), 2).tobytes() for name in OBJECTS]
    assert len(set(drawn)) == len(OBJECTS)


def test_a_shift_moves_items_but_not_the_ground() -> None:
    scene = Scene((Item("heart", "red"),), PLAIN)
    still, moved = render(scene), render(scene, (32, 0))
    assert (moved[:, 32:] == still[:, :-32]).all()
