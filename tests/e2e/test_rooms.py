"""Calls into the rooms over Serve itself: what is left behind, and whose time has run out."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from ray import serve as ray_serve

from deployments.diffusion.request import NO_HURRY, GenerationParams
from deployments.errors import DeadlineMissed, Overloaded
from deployments.postprocess.schema import FinishSpec, Output
from serve.commands.local import Running
from serve.http.rooms import Rooms

PARAMS = GenerationParams("a cat", 64, 64, 4, 1)
SPEC = FinishSpec(("img_1",), None, (None,), Output("png"))


@ray_serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Drawing:
    """Draws, and tells of it, for as long as nobody stops it."""

    def __init__(self) -> None:
        self.going = 0

    async def generate(self, *asked: object) -> None:
        self.going += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.going -= 1

    async def generate_stream(self, *asked: object) -> Any:
        yield "begun"
        await self.generate()

    async def count(self) -> int:
        return self.going


@ray_serve.deployment(
    max_ongoing_requests=1, max_queued_requests=1, ray_actor_options={"num_cpus": 0.1}
)
class Finishing:
    """Has room for one that is busy and one that waits, and a clock of its own."""

    async def busy(self) -> None:
        await asyncio.Event().wait()

    async def record(self) -> None:
        raise TimeoutError("the library did not answer")


ROOMS: dict[str, Any] = {"calls-drawing": Drawing, "calls-finishing": Finishing}


@pytest.fixture(scope="module")
def house(service: Running) -> Iterator["House"]:
    """Both in the cluster of the application, called from one event loop, as handles want it."""
    with asyncio.Runner() as runner:
        yield House(runner)
        for name in ROOMS:
            ray_serve.delete(name)


class House:
    """The two rooms, and the event loop that calls them."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.run = runner.run
        for name, room in ROOMS.items():
            ray_serve.run(room.bind(), name=name, route_prefix=None)
        self.drawing, self.finishing = self.run(self._handles())

    async def _handles(self) -> list[Any]:
        return [ray_serve.get_app_handle(name) for name in ROOMS]

    def rooms(self, timeout_s: float) -> Rooms:
        """As routes have them."""
        return Rooms(self.drawing, self.finishing, timeout_s)


async def going(drawing: Any, count: int) -> None:
    """Wait until so many are drawn."""
    async with asyncio.timeout(30):
        while await drawing.count.remote() != count:
            pass  # each look is a call to another process


def test_a_refused_finish_cancels_its_draw(house: House) -> None:
    async def work() -> None:
        rooms = house.rooms(60)
        busy: list[asyncio.Task[object]] = []
        async with asyncio.timeout(30):
            while not any(one.done() for one in busy):  # until one is refused
                busy.append(asyncio.ensure_future(rooms.ask("busy")))
                await asyncio.wait(busy, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(Overloaded):
            await rooms.deliver(PARAMS, NO_HURRY, None, SPEC)
        await going(house.drawing, 0)
        for one in busy:
            one.cancel()
        await asyncio.gather(*busy, return_exceptions=True)

    house.run(work())


def test_a_rooms_own_timeout_is_not_the_clients(house: House) -> None:
    async def work() -> None:
        await house.rooms(60).ask("record")

    with pytest.raises(TimeoutError, match="the library did not answer"):
        house.run(work())


def test_a_stream_ends_with_the_requests_time(house: House) -> None:
    async def work() -> None:
        told = house.rooms(1.0).deliver_told(PARAMS, NO_HURRY, None, SPEC)
        assert await anext(told) == "begun"
        with pytest.raises(DeadlineMissed) as missed:
            await anext(told)
        assert missed.value.code == "timeout"
        await going(house.drawing, 0)

    house.run(work())
