"""The load generator against a real server: the lock server, on the embedded model."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice

import pytest
import torch
import uvicorn
from fastapi import FastAPI, Response

from benchmarks.baselines import pipelines
from benchmarks.baselines.asking import Asked, Fields, call
from benchmarks.baselines.lock_server import create_app
from benchmarks.harness.clients import Clients, Mix, run
from benchmarks.harness.tally import Answer, Tally
from deployments.diffusion.profile import EMBEDDED_MODEL
from serve.commands.loopback import free_port
from tests.polling import wait_until

SMALL = ((128, 128),)


@pytest.fixture(scope="module")
def made() -> pipelines.Pipelines:
    return pipelines.handed_over(EMBEDDED_MODEL, torch.float32)


@pytest.fixture(scope="module")
def url(made: pipelines.Pipelines) -> Iterator[str]:
    with running(create_app(made)) as address:
        yield address


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """A server in a thread of this process."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, 30)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def closed(url: str, mix: Mix, seconds: float = 2.0, warm_up_s: float = 0.2) -> Tally:
    async def loop() -> Tally:
        return await Clients(url, mix).closed(3, warm_up_s, seconds)

    return run(loop)


def test_every_kind_is_answered_in_a_closed_loop(url: str) -> None:
    tally = closed(url, Mix(sizes=SMALL, steps=1))
    assert not tally.errors
    assert len(tally.pictures) == len(tally.answers) > 3
    assert tally.seconds > 2.0
    assert tally.images_s == len(tally.pictures) / tally.seconds
    assert 0 < (tally.percentile(0.5) or 0) <= (tally.percentile(0.99) or 0)


@pytest.mark.parametrize("warm_up_s", [0.0, 0.2])
def test_all_that_a_closed_loop_asks_after_its_warm_up_counts(warm_up_s: float) -> None:
    app, asked = FastAPI(), count()

    @app.post("/v1/images/generations")
    async def generations() -> Response:
        next(asked)
        await asyncio.sleep(0.05)  # more than one is always under way when the time is over
        return Response('{"data": [{"url": "/"}]}', media_type="application/json")

    with running(app) as address:
        tally = closed(address, Mix(sizes=SMALL, kinds=("t2i",)), 0.3, warm_up_s)
    of_all = next(asked)
    assert len(tally.pictures) == len(tally.answers) > 3
    assert tally.seconds >= max(one.ended for one in tally.answers) - tally.answers[0].began
    assert (len(tally.answers) == of_all) == (warm_up_s == 0)


def test_openai_fields_alone_are_answered_too(url: str) -> None:
    tally = closed(url, Mix(sizes=SMALL, kinds=("t2i",), plain=True))
    assert tally.pictures
    assert not tally.errors


def test_random_arrivals_come_at_the_rate_and_are_all_answered(url: str) -> None:
    async def loop() -> Tally:
        mix = Mix(sizes=SMALL, steps=1, bulk=2)
        return await Clients(url, mix).open(4.0, 0.5, 3.0, seed=7)

    tally = run(loop)
    assert 4 <= len(tally.answers) <= 24
    assert len(tally.pictures) == len(tally.answers)
    assert len(tally.of(bulk=True).answers) + len(tally.of(bulk=False).answers) == len(
        tally.answers
    )


def test_refusals_are_counted_apart_from_errors() -> None:
    app = FastAPI()

    @app.post("/v1/images/generations")
    async def generations() -> Response:
        return Response("full", 429)

    @app.post("/v1/images/edits")
    async def edits() -> Response:
        return Response("{}", 200, media_type="application/json")

    with running(app) as address:
        tally = closed(address, Mix(sizes=SMALL, kinds=("t2i", "i2i")), 0.3)
    figures = tally.figures(limit_s=1.0)
    assert figures["busy_429"] > 0
    assert set(figures["errors"]) == {"the answer holds no picture"}
    assert figures["pictures"] == 0 == figures["in_time"]
    assert figures["p50_s"] is None


def test_a_mix_takes_kinds_sizes_and_priorities_in_turn_and_repeats_no_seed() -> None:
    mix = Mix(sizes=((128, 128), (256, 128)), bulk=4, streamed=True)
    asks = list(islice(mix.requests(100), 12))
    assert [ask.job.kind for ask in asks[:4]] == ["t2i", "i2i", "inpaint", "t2i"]
    assert [ask.job.width for ask in asks[:6]] == [128] * 3 + [256] * 3
    assert sum(ask.bulk for ask in asks) == 3
    assert len({ask.job.seed for ask in asks}) == 12
    assert asks[0].content["json"]["priority"] == "bulk"
    assert asks[1].content["data"]["stream"] == "true"
    assert set(asks[2].content["files"]) == {"image", "mask"}


def test_the_figures_of_a_tally() -> None:
    answers = [Answer(0.0, float(i)) for i in range(1, 5)]
    answers += [Answer(0.0, 1.0, "429", busy=True), Answer(0.0, 2.0, "broken")]
    figures = Tally(tuple(answers), 2.0).figures(limit_s=2.0)
    assert figures["images_per_s"] == 2.0
    assert figures["p50_s"] == 2.5
    assert figures["in_time"] == pytest.approx(2 / 6)
    assert figures["errors"] == {"broken": 1}


def test_a_batch_of_like_requests_draws_what_each_would_alone(made: pipelines.Pipelines) -> None:
    asked = [
        Asked("t2i", Fields(prompt="a red car", size="128x128", num_inference_steps=1, seed=seed))
        for seed in (1, 2)
    ]
    with torch.inference_mode():
        together = made["t2i"](**call(asked), output_type="np").images
        alone = [made["t2i"](**call([one]), output_type="np").images[0] for one in asked]
    for one, other in zip(together, alone, strict=True):
        assert abs(one - other).max() < 2 / 255
    assert asked[0].alike == asked[1].alike
