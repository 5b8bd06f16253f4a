"""References beside the prompt: rows with and without them share forwards; what cannot be read is
refused, and what is read is told.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from deployments.diffusion.families.load import FAMILIES
from deployments.diffusion.request.params import GenerationParams
from deployments.diffusion.request.request import Row
from deployments.errors import InvalidValue
from deployments.handover import Given, Reference, Tokens
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import MakeEngine, ProfileOf
from tests.unit.diffusion.requests import image_to_image, inpaint, picture, text_to_image

DEADLINE_S = 200
KLEIN = "flux2-klein"


def edit(*sizes: tuple[int, int], **fields: object) -> tuple[GenerationParams, Given]:
    """An edit by references of these (width, height)."""
    params, _ = text_to_image(**fields)
    references = tuple(Reference(picture(*size, seed=9)) for size in sizes)
    return params, Given(None, references=references)


def held(gate: threading.Event, forwards: list[list[str]]) -> type:
    """The family, whose first forward waits for the gate once the engine is warm."""
    base: Any = FAMILIES[KLEIN]

    class Held(base):
        def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
            if rows[0].request.id != "warm-up":
                assert gate.wait(DEADLINE_S)
                forwards.append(sorted(row.request.id for row in rows))
            velocities: list[torch.Tensor] = super().velocity(rows)
            return velocities

    return Held


def test_rows_of_every_kind_and_size_share_forwards(
    profiles: ProfileOf, make_engine: MakeEngine
) -> None:
    gate, forwards = threading.Event(), []
    engine = make_engine(profiles[KLEIN](), held(gate, forwards))
    asked = {
        "first": text_to_image(num_inference_steps=1),
        "edit": edit((96, 64), (70, 100), num_inference_steps=6, seed=2),
        "guided edit": edit((64, 64), num_inference_steps=6, guidance_scale=4.0),
        "image": image_to_image(num_inference_steps=10, seed=4),
        "inpaint": inpaint(num_inference_steps=10, seed=3, guidance_scale=2.0),
        "larger": text_to_image(num_inference_steps=6, width=96, height=128),
    }
    futures = {name: engine.submit(name, *one) for name, one in asked.items()}
    gate.set()
    together = {name: future.result(DEADLINE_S).pictures for name, future in futures.items()}
    others = sorted(set(asked) - {"first"})
    # the first forward may have begun before the others had come
    assert [one for one in forwards if one != ["first"]][-5:] == [others] * 5
    assert len(forwards) <= 1 + 6
    for name, one in asked.items():
        alone = engine.submit("alone", *one).result(DEADLINE_S)
        assert_same_picture(together[name], alone.pictures)


def test_what_is_read_decides_the_picture(profiles: ProfileOf, make_engine: MakeEngine) -> None:
    engine = make_engine(profiles[KLEIN]())
    asked = [text_to_image(), edit((64, 64)), edit((64, 80)), edit((64, 64), (64, 64))]
    drawn = [engine.submit(str(i), *one).result(DEADLINE_S) for i, one in enumerate(asked)]
    pictures = [one.pictures for one in drawn]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert np.abs(one.astype(int) - other).mean() > 0.5
    assert [one.tokens.given for one in drawn] == [0, 16, 20, 32]
    assert drawn[0].tokens == Tokens(text=48, given=0, drawn=16)


def test_pictures_of_one_request_read_the_same(
    profiles: ProfileOf, make_engine: MakeEngine
) -> None:
    engine = make_engine(profiles[KLEIN]())
    params, given = edit((96, 64), (64, 64), seed=5)
    two = engine.submit("two", replace(params, n=2), given).result(DEADLINE_S).pictures
    second = engine.submit("one", replace(params, seed=6), given).result(DEADLINE_S).pictures
    assert_same_picture(two[1], second[0])


def test_both_passes_of_a_large_picture_read_them(
    profiles: ProfileOf, make_engine: MakeEngine
) -> None:
    engine = make_engine(profiles[KLEIN]())
    fields = {"width": 128, "height": 128, "hires": True, "num_inference_steps": 5}
    one, other = (
        engine.submit(str(size), *edit(size, **fields)).result(DEADLINE_S)
        for size in ((64, 64), (64, 128))
    )
    assert np.abs(one.pictures.astype(int) - other.pictures).mean() > 0.5
    assert (one.tokens.given, other.tokens.given) == (16, 32)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != KLEIN])
def test_families_that_read_none_refuse_them(
    profiles: ProfileOf, make_engine: MakeEngine, family: str
) -> None:
    engine = make_engine(profiles[family]())
    with pytest.raises(InvalidValue, match=r"references: tiny reads none; .*'image'") as refused:
        engine.submit("1", *edit((64, 64)))
    assert refused.value.param == "references"


def test_refusals_name_the_field(profiles: ProfileOf, make_engine: MakeEngine) -> None:
    engine = make_engine(profiles[KLEIN]())
    with pytest.raises(InvalidValue, match="5 are more than the 4") as refused:
        engine.submit("1", *edit(*[(64, 64)] * 5))
    assert refused.value.param == "references"
    with pytest.raises(InvalidValue, match="never noised; leave it out") as refused:
        engine.submit("2", *edit((64, 64), strength=0.5))
    assert refused.value.param == "strength"


def test_references_cost_what_they_take(profiles: ProfileOf, make_engine: MakeEngine) -> None:
    family = make_engine(profiles[KLEIN]())._loaded.family
    params, given = edit((96, 64), (70, 100))
    start = family.start(params, given)[0]
    embedding = family.encode(params.prompt).embedding
    tokens = sum(family.lengths(start, embedding, None))
    work = family.work(params.bringing(given))
    assert work.token_steps == tokens * params.num_inference_steps == (16 + 48 + 24 + 24) * 4
