"""Which scenes there are, which of them training never sees, and how they are drawn at random."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

from training.world import (
    BUCKETS,
    COLOURS,
    OBJECTS,
    POSITIONS,
    RELATIONS,
    SHAPES,
    SIZES,
    Item,
    Scene,
    is_drawable,
)

HELD_OUT_SHARE = 0.1
RELATION_SHARE = 0.2
SHAPE_SHARE = 0.3  # of all items
SQUARE_SHARE = 0.7


def is_held_out(scene: Scene) -> bool:
    """A fixed tenth of all combinations, whatever the picture's size, is kept for evaluation."""
    key = repr(replace(scene, width=256, height=256)).encode()
    fraction = int.from_bytes(hashlib.sha256(key).digest()[:8]) / 2**64
    return fraction < HELD_OUT_SHARE


def _item(rng: random.Random, names: list[str] | None, weights: dict[str, float]) -> Item:
    if names is not None:
        name = rng.choice(names)
    elif rng.random() < SHAPE_SHARE:
        name = rng.choice(SHAPES)
    else:
        objects = list(OBJECTS)
        name = rng.choices(objects, [weights.get(other, 1.0) for other in objects])[0]
    return Item(name, rng.choice(list(COLOURS)) if name in SHAPES else None)


def _candidate(
    rng: random.Random,
    names: list[str] | None,
    square: float,
    weights: dict[str, float],
    pairs: float,
) -> Scene:
    width, height = BUCKETS[0] if rng.random() < square else rng.choice(BUCKETS[1:])
    background = rng.choice(list(COLOURS))
    first = _item(rng, names, weights)
    if rng.random() < pairs:
        return Scene(
            items=(first, _item(rng, None, weights)),
            background=background,
            relation=rng.choice(list(RELATIONS)),
            width=width,
            height=height,
        )
    return Scene(
        items=(first,),
        background=background,
        size=rng.choice(("medium", "medium", *SIZES)),
        position=rng.choice(("centre", "centre", *POSITIONS)),
        width=width,
        height=height,
    )


def sample_scene(
    rng: random.Random,
    *,
    held_out: bool,
    names: list[str] | None = None,
    square: float = SQUARE_SHARE,
    weights: dict[str, float] | None = None,
    pairs: float = RELATION_SHARE,
) -> Scene:
    """A random drawable scene from the training part or from the held-out part of the world.

    `names` limits the first item; `square` is the share of square pictures, `pairs` that of two
    items in a relation; `weights` makes named objects more or less frequent than 1.
    """
    while True:
        scene = _candidate(rng, names, square, weights or {}, pairs)
        if is_drawable(scene) and is_held_out(scene) == held_out:
            return scene
