"""Which scenes there are, which of them training never sees, and how they are drawn at random."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field, replace

from training.second.catalogue import (
    BUCKETS,
    COLOURS,
    GROUNDS,
    OBJECTS,
    POSITIONS,
    RELATIONS,
    SHAPES,
    SIZES,
    TWO_COLOURED,
    GroundKind,
)
from training.second.scene import Ground, Item, Scene, is_drawable

HELD_OUT_SHARE = 0.1
GROUND_WEIGHTS: dict[GroundKind, float] = {
    "plain": 4, "two-tone": 1, "gradient": 1.5, "tiles": 1, "table": 1.5, "floor": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Mix:
    """How often each kind of scene is drawn.

    related: share of several items. shapes: share of shapes among items. square: share of square
    pictures. weights: how often an object is drawn relative to the others, 1 where not told.
    """

    related: float = 0.25
    shapes: float = 0.25
    square: float = 0.6
    weights: dict[str, float] = field(default_factory=dict)


def is_held_out(scene: Scene) -> bool:
    """A fixed tenth of all combinations, whatever the picture's size, is kept for evaluation."""
    key = repr(replace(scene, width=512, height=512)).encode()
    fraction = int.from_bytes(hashlib.sha256(key).digest()[:8]) / 2**64
    return fraction < HELD_OUT_SHARE


def _item(rng: random.Random, mix: Mix, names: list[str] | None = None) -> Item:
    if names is not None:
        name = rng.choice(names)
    elif rng.random() < mix.shapes:
        name = rng.choice(SHAPES)
    else:
        objects = list(OBJECTS)
        name = rng.choices(objects, [mix.weights.get(one, 1.0) for one in objects])[0]
    return Item(name, rng.choice(list(COLOURS)) if name in SHAPES else None)


def _ground(rng: random.Random, kinds: tuple[GroundKind, ...]) -> Ground:
    kind = rng.choices(kinds, [GROUND_WEIGHTS[one] for one in kinds])[0]
    first, second = rng.choice(list(COLOURS)), rng.choice(list(COLOURS))
    return Ground(kind, first, second if kind in TWO_COLOURED else None)


def _candidate(
    rng: random.Random, mix: Mix, names: list[str] | None, kinds: tuple[GroundKind, ...]
) -> Scene:
    width, height = BUCKETS[0] if rng.random() < mix.square else rng.choice(BUCKETS[1:])
    ground = _ground(rng, kinds)
    first = _item(rng, mix, names)
    if rng.random() < mix.related:
        relation = rng.choice(list(RELATIONS))
        others = tuple(_item(rng, mix) for _ in RELATIONS[relation][1:])
        return Scene((first, *others), ground, relation=relation, width=width, height=height)
    return Scene(
        items=(first,),
        ground=ground,
        size=rng.choice(("medium", "medium", *SIZES)),
        position=rng.choice(("centre", "centre", *POSITIONS)),
        width=width,
        height=height,
    )


def sample_scene(
    rng: random.Random,
    *,
    held_out: bool,
    mix: Mix | None = None,
    names: list[str] | None = None,
    kinds: tuple[GroundKind, ...] = GROUNDS,
) -> Scene:
    """A random drawable scene from the training part or from the held-out part of the world.

    `names` limits the first item, `kinds` the grounds.
    """
    while True:
        scene = _candidate(rng, mix or Mix(), names, kinds)
        if is_drawable(scene) and is_held_out(scene) == held_out:
            return scene
