"""Coroutines that wait for the engine: joined where equal, each leaving for itself."""

import asyncio
import gc
import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from deployments.diffusion.engine.callers import Callers
from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.request.params import GenerationParams, Terms
from deployments.diffusion.request.request import Row
from deployments.errors import GenerationFailed
from deployments.handover import Drawn, Given
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import image_to_image, text_to_image

DEADLINE_S = 60
STEPS = 4


class Held(ZImage):
    """Steps once the test opens the gate; fails at the second step where the prompt is "sea"."""

    gate: ClassVar[threading.Event]

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        if rows[0].request.id != "warm-up":
            assert self.gate.wait(DEADLINE_S)
        if any(row.request.params.prompt == "sea" and row.step for row in rows):
            raise RuntimeError("no sea here")
        return super().velocity(rows)


@pytest.fixture
def engine(checkpoint: Path, make_engine: MakeEngine) -> Engine:
    Held.gate = threading.Event()
    return make_engine(tiny_profile(checkpoint), Held)


async def held(engine: Engine, pictures: int) -> None:
    """Wait until so many are on their way."""

    def there() -> bool:
        state = engine.state()
        return state.running + state.waiting == pictures

    await asyncio.to_thread(wait_until, there, DEADLINE_S)


def draw_all(
    engine: Engine, *asked: tuple[GenerationParams, Given | None, Terms], pictures: int
) -> list[Drawn | BaseException]:
    """What becomes of requests that come at once; so many pictures of them are to be drawn."""

    async def together() -> list[Drawn | BaseException]:
        callers = Callers(engine)
        calls = [callers.draw(f"{i}", *one) for i, one in enumerate(asked)]
        drawing = asyncio.gather(*calls, return_exceptions=True)
        await held(engine, pictures)
        Held.gate.set()
        return await drawing

    return asyncio.run(together())


def test_equal_requests_are_drawn_once_and_each_has_its_own_answer(engine: Engine) -> None:
    before = engine.state().rows
    asked = (*text_to_image(n=2), Terms())

    first, second, third = draw_all(engine, asked, asked, asked, pictures=2)

    assert engine.state().rows - before == 2 * STEPS
    assert isinstance(first, Drawn)
    assert isinstance(second, Drawn)
    assert isinstance(third, Drawn)
    assert [first.id, second.id, third.id] == ["0", "1", "2"]
    assert np.array_equal(first.pictures, third.pictures)


def test_an_edit_is_joined_by_its_pictures_digest(engine: Engine) -> None:
    params, given = image_to_image()
    known = replace(given, digest="a")
    asked = [(params, known), (params, known), (params, replace(given, digest="b"))]

    draw_all(engine, *((*one, Terms()) for one in asked), pictures=2)


@pytest.mark.parametrize(
    ("params", "terms"),
    [
        (text_to_image(seed=2)[0], Terms()),
        (text_to_image(prompt="the dog")[0], Terms()),
        (text_to_image()[0], Terms(priority="bulk")),
        (text_to_image()[0], Terms(deadline_s=100.0)),
    ],
)
def test_what_differs_is_not_joined(engine: Engine, params: GenerationParams, terms: Terms) -> None:
    draw_all(engine, (*text_to_image(), Terms()), (params, None, terms), pictures=2)


def test_a_picture_without_a_digest_and_equal_deadlines_are_not_joined(engine: Engine) -> None:
    edit = (*image_to_image(), Terms())
    hurried = (*text_to_image(), Terms(deadline_s=100.0))

    draw_all(engine, edit, edit, hurried, hurried, pictures=4)


def test_each_gets_an_error_of_its_own(engine: Engine) -> None:
    asked = (*text_to_image(prompt="sea"), Terms())

    first, second = draw_all(engine, asked, asked, pictures=1)

    assert isinstance(first, GenerationFailed)
    assert isinstance(second, GenerationFailed)
    assert first is not second
    assert (first.message, first.code) == (second.message, second.code)


def test_those_who_stay_get_their_pictures(engine: Engine) -> None:
    async def one_leaves() -> Drawn:
        callers = Callers(engine)
        begins = asyncio.ensure_future(callers.draw("0", *text_to_image()))
        stays = asyncio.ensure_future(callers.draw("1", *text_to_image()))
        await held(engine, 1)
        begins.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begins
        Held.gate.set()
        return await stays

    assert asyncio.run(one_leaves()).id == "1"


def test_the_last_to_leave_stops_it_and_who_comes_then_is_drawn_anew(engine: Engine) -> None:
    async def all_leave() -> Drawn:
        callers = Callers(engine)
        leaving = [asyncio.ensure_future(callers.draw(f"{i}", *text_to_image())) for i in range(2)]
        await held(engine, 1)
        for one in leaving:
            one.cancel()
        await asyncio.sleep(0)  # they are told; the device holds the first still
        comes = asyncio.ensure_future(callers.draw("0", *text_to_image()))  # again, say
        await held(engine, 2)
        Held.gate.set()
        outcomes = await asyncio.gather(*leaving, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in outcomes)
        return await comes

    assert asyncio.run(all_leave()).id == "0"
    assert engine.state().running == 0


def test_nothing_is_logged_of_a_listener_that_leaves(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither while it is drawn nor when it fails after its last event was told."""

    async def leave(request_id: str, prompt: str) -> None:
        told = Callers(engine).draw_told(request_id, *text_to_image(prompt=prompt))
        await anext(told)
        if prompt == "sea":
            await held(engine, 0)
        await told.aclose()
        await held(engine, 0)

    Held.gate.set()
    with caplog.at_level(logging.ERROR, "asyncio"):
        asyncio.run(leave("0", "a cat"))
        asyncio.run(leave("1", "sea"))
        gc.collect()

    assert [record for record in caplog.records if record.name == "asyncio"] == []
