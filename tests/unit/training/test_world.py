from __future__ import annotations

import random

import numpy as np
import pytest

from training.scenes import is_held_out, sample_scene
from training.world import (
    BUCKETS,
    CELL,
    COLOURS,
    OBJECTS,
    POSITIONS,
    RELATIONS,
    SHAPES,
    SIZES,
    Item,
    Scene,
    boxes,
    is_drawable,
    object_sprite,
    place,
    render,
    shape_mask,
)


def test_world_is_as_large_as_promised() -> None:
    assert len(OBJECTS) >= 40
    assert len(SHAPES) == 10
    assert len(COLOURS) == 12
    assert len(POSITIONS) == 9


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_has_a_picture_of_its_own(name: str) -> None:
    drawn = object_sprite(name, 4)
    assert drawn.shape == (128, 128, 4)
    assert 0.05 < drawn[..., 3].mean() < 0.8
    assert drawn.max() <= 1
    assert drawn[..., :3].max(axis=2).max() <= drawn[..., 3].max()
    others = (object_sprite(other, 4) for other in OBJECTS if other != name)
    assert min(float(np.abs(drawn - other).mean()) for other in others) > 0.02


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_fill_their_box_but_not_its_rim(shape: str) -> None:
    mask = shape_mask(shape, 4)
    rows, columns = np.nonzero(mask > 0.5)
    assert rows.min() >= 8
    assert rows.max() < 124
    assert columns.min() >= 8
    assert columns.max() < 124
    assert rows.max() - rows.min() > 80


@pytest.mark.parametrize(("width", "height"), BUCKETS)
@pytest.mark.parametrize("size", SIZES)
def test_places_lie_inside_and_on_the_side_they_name(width: int, height: int, size: str) -> None:
    centre = place("centre", SIZES[size], width, height)
    for position, (column, row) in POSITIONS.items():
        box = place(position, SIZES[size], width, height)
        assert 0 <= box.column <= width // CELL - box.cells
        assert 0 <= box.row <= height // CELL - box.cells
        if is_drawable(Scene((Item("cat"),), "red", size, position, None, width, height)):
            assert np.sign(box.column - centre.column) == column
            assert np.sign(box.row - centre.row) == row


@pytest.mark.parametrize(("width", "height"), BUCKETS)
@pytest.mark.parametrize("relation", RELATIONS)
def test_related_objects_do_not_overlap(width: int, height: int, relation: str) -> None:
    pair = (Item("cat"), Item("dog"))
    first, second = boxes(Scene(pair, "red", relation=relation, width=width, height=height))
    distance = max(abs(first.column - second.column), abs(first.row - second.row))
    assert distance >= first.cells
    if relation == "above":
        assert first.row < second.row
    if relation == "right of":
        assert first.column > second.column


def test_render_draws_the_scene_where_its_box_is() -> None:
    scene = Scene((Item("circle", "red"),), "blue", position="top left", width=256, height=320)
    picture = render(scene)
    assert picture.shape == (320, 256, 3)
    assert picture.dtype == np.uint8
    box = boxes(scene)[0]
    middle = (box.row * CELL + 64, box.column * CELL + 64)
    assert tuple(picture[middle]) == COLOURS["red"]
    assert tuple(picture[-1, -1]) == COLOURS["blue"]
    moved = render(scene, shift=(16, -16))
    assert np.array_equal(moved[100:150, 100:150], picture[116:166, 84:134])


def test_a_shift_over_the_edge_clips() -> None:
    picture = render(Scene((Item("square", "red"),), "white", position="left"), shift=(-40, 0))
    assert tuple(picture[128, 0]) == COLOURS["red"]


def test_invisible_scenes_are_refused() -> None:
    assert not is_drawable(Scene((Item("star", "red"),), "red"))
    assert not is_drawable(Scene((Item("cat"), Item("cat")), "red", relation="above"))
    assert not is_drawable(Scene((Item("cat"),), "red", "large", "left", None, 192, 320))


def test_held_out_scenes_never_meet_training() -> None:
    rng = random.Random(0)
    unseen = [sample_scene(rng, held_out=True) for _ in range(50)]
    seen = [sample_scene(rng, held_out=False) for _ in range(450)]
    assert all(is_held_out(scene) for scene in unseen)
    assert not any(is_held_out(scene) for scene in seen)


def test_the_split_is_about_a_tenth_and_ignores_the_picture_size() -> None:
    scenes = [
        Scene((Item(name),), ground, size, position)
        for name in list(OBJECTS)[:10]
        for ground in COLOURS
        for size in SIZES
        for position in POSITIONS
    ]
    share = sum(map(is_held_out, scenes)) / len(scenes)
    assert 0.08 < share < 0.12
    one = scenes[0]
    tall = Scene(one.items, one.background, one.size, one.position, None, 192, 320)
    assert is_held_out(one) == is_held_out(tall)


def test_named_scenes_start_with_that_name() -> None:
    scene = sample_scene(random.Random(0), held_out=True, names=["rocket"])
    assert scene.items[0].name == "rocket"
