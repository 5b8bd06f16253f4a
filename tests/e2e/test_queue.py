"""A full queue, clients that leave, deadlines."""

import asyncio
import base64
import io
import secrets
from typing import Any

import httpx
import pytest
from PIL import Image

from serve.commands.local import Running
from tests.polling import wait_until

LONG: dict[str, Any] = {"prompt": "a red circle", "n": 8, "num_inference_steps": 50}
"""Without a seed: equal requests that are on their way at once would be one."""


def pixels(b64_json: str) -> bytes:
    return Image.open(io.BytesIO(base64.b64decode(b64_json))).tobytes()


@pytest.fixture
def engine(client: httpx.Client) -> "Engine":
    return Engine(client)


class Engine:
    """What the application tells of its engine."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def __getitem__(self, name: str) -> int:
        value: int = self.client.get("/v1/capabilities").json()["engine"][name]
        return value

    @property
    def held(self) -> int:
        return self["running"] + self["waiting"]


def test_exactly_the_places_are_taken_and_leaving_frees_them(
    service: Running, client: httpx.Client, engine: Engine
) -> None:
    places = engine["max_running"] + engine["max_waiting"]

    async def fill_and_leave() -> httpx.Response:
        async with httpx.AsyncClient(base_url=service.url, timeout=120) as crowd:
            requests = [
                asyncio.create_task(crowd.post("/v1/images/generations", json=LONG))
                for _ in range(places // 8)
            ]
            await asyncio.to_thread(wait_until, lambda: engine.held == places, 60, 0.1)
            one_more = await asyncio.to_thread(
                client.post, "/v1/images/generations", json={**LONG, "n": 1}
            )
            for request in requests:
                request.cancel()  # closes its connection
            assert all(
                isinstance(outcome, asyncio.CancelledError)
                for outcome in await asyncio.gather(*requests, return_exceptions=True)
            )
            return one_more

    refused = asyncio.run(fill_and_leave())

    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "queue_full"
    assert int(refused.headers["retry-after"]) >= 1
    wait_until(lambda: engine.held == 0, 10, 0.05)
    forwards = engine["forwards"]
    answer = client.post("/v1/images/generations", json={"prompt": "a red circle"})
    assert answer.status_code == 200
    assert engine["forwards"] == forwards + 8


def test_of_200_that_arrive_at_once_exactly_the_places_are_given_out(
    service: Running, engine: Engine
) -> None:
    """And it is the engine that refuses the rest, not Serve's own limits."""
    places = engine["max_running"] + engine["max_waiting"]
    one = {**LONG, "n": 1, "size": "384x384"}  # long enough that none is done before all are here

    async def ask(crowd: httpx.AsyncClient) -> httpx.Response:
        return await crowd.post("/v1/images/generations", json=one)

    async def arrive_together() -> tuple[list[httpx.Response], int]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=service.url, timeout=300, limits=limits) as crowd:
            requests = [asyncio.create_task(ask(crowd)) for _ in range(200)]
            refused: list[httpx.Response] = []
            for answered in asyncio.as_completed(requests):
                refused.append(await answered)
                if len(refused) == 200 - places:
                    break
            held = await asyncio.to_thread(lambda: engine.held)
            for request in requests:
                request.cancel()  # those that have places need not be drawn
            await asyncio.gather(*requests, return_exceptions=True)
            return refused, held

    refused, held = asyncio.run(arrive_together())

    assert {answer.status_code for answer in refused} == {429}
    assert held == places
    for answer in refused:
        assert "The queue is full (40" in answer.json()["error"]["message"]
        assert int(answer.headers["retry-after"]) >= 1
    wait_until(lambda: engine.held == 0, 30, 0.05)


def test_a_client_that_leaves_stops_its_work(service: Running, engine: Engine) -> None:
    before = engine["forwards"]

    async def ask_and_leave() -> None:
        async with httpx.AsyncClient(base_url=service.url, timeout=120) as crowd:
            request = asyncio.create_task(crowd.post("/v1/images/generations", json=LONG))
            await asyncio.to_thread(wait_until, lambda: engine["forwards"] >= before + 2, 60, 0.02)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)

    asyncio.run(ask_and_leave())

    wait_until(lambda: engine.held == 0, 10, 0.02)
    assert engine["forwards"] - before < LONG["num_inference_steps"]


def test_equal_requests_on_their_way_are_drawn_once(service: Running, engine: Engine) -> None:
    before = engine["forwards"]
    body = {**LONG, "n": 1, "seed": secrets.randbelow(2**40)}

    async def ask_together() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=service.url, timeout=120) as crowd:
            asked = (crowd.post("/v1/images/generations", json=body) for _ in range(4))
            return await asyncio.gather(*asked)

    answers = asyncio.run(ask_together())

    pictures = [answer.json()["data"][0] for answer in answers]
    assert engine["forwards"] - before == LONG["num_inference_steps"]
    assert len({pixels(picture["b64_json"]) for picture in pictures}) == 1
    assert len({picture["id"] for picture in pictures}) == 4


def test_a_deadline_that_cannot_be_met(client: httpx.Client, engine: Engine) -> None:
    answer = client.post("/v1/images/generations", json={**LONG, "deadline_s": 0.2})

    assert answer.status_code == 429
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["param"] == "deadline_s"
    assert engine.held == 0
