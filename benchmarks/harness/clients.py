"""Clients that ask any server of OpenAI's Images API for pictures, and note how it answers.

    python -m benchmarks.harness.clients --url http://127.0.0.1:8000 --clients 16 --seconds 30

Closed loop: so many clients, each asking anew once it has its answer. Open loop (--rate): requests
come at random moments, a seeded Poisson process, whether or not earlier ones are answered. Every
request has a seed of its own, so that no answer is one from before. Sizes, kinds and priorities
take turns. The warm-up is not counted.
"""

import argparse
import asyncio
import itertools
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from benchmarks.harness.jobs import KINDS, File, Job, Kind, sent
from benchmarks.harness.tally import Answer, Tally

PICTURES = 32  # that edits start from: making one for each request would cost the machine much
MOST_AT_ONCE = 256  # open requests of the open loop; what would come on top is counted as an error
TIMEOUT_S = 120.0
FIRST_SEED = 1_000_003


@dataclass(frozen=True, slots=True)
class Mix:
    """What is asked for.

    sizes: (width, height) of each. bulk: of every so many requests one is of bulk priority; 0 for
    none. streamed: answers come as events, with one preview. plain: OpenAI's own fields alone.
    """

    kinds: tuple[Kind, ...] = KINDS
    sizes: tuple[tuple[int, int], ...] = ((256, 256),)
    steps: int = 8
    bulk: int = 0
    streamed: bool = False
    plain: bool = False

    def requests(self, first_seed: int) -> Iterator["Ask"]:
        """One after the other, without end."""
        for number in itertools.count():
            kind = self.kinds[number % len(self.kinds)]
            width, height = self.sizes[number // len(self.kinds) % len(self.sizes)]
            job = Job(kind, first_seed + number, width, height, self.steps)
            yield Ask(job, bool(self.bulk) and number % self.bulk == 0, self)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    job: Job
    bulk: bool
    mix: Mix

    @property
    def content(self) -> dict[str, Any]:
        """What httpx sends."""
        job = self.job
        fields = job.openai_fields if self.mix.plain else job.fields
        if self.bulk:
            fields = {**fields, "priority": "bulk"}
        if self.mix.streamed:
            fields = {**fields, "stream": True, "partial_images": 1}
            if job.kind != "t2i":
                fields["stream"] = "true"
        return sent(fields, uploads(job.kind, job.seed % PICTURES, job.width, job.height))


@cache
def uploads(kind: Kind, number: int, width: int, height: int) -> dict[str, File]:
    """The files of an edit, one of `PICTURES` for each kind and size."""
    return Job(kind, number, width, height, steps=1).files


class Clients:
    """They share connections, for one run. first_seed: of the first picture, the next one's is one
    more."""

    def __init__(self, url: str, mix: Mix, first_seed: int = FIRST_SEED) -> None:
        self._asks = mix.requests(first_seed)
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=MOST_AT_ONCE),
        )
        self._answers: list[Answer] = []

    @property
    def answered(self) -> int:
        """Requests that have had their answer, also those that do not count."""
        return len(self._answers)

    async def closed(self, clients: int, warm_up_s: float, seconds: float) -> Tally:
        """So many clients, which ask anew for `seconds`; every answer counts, until the last one.

        A window's edge would cut through a batch, and give it wholly to one side. warm_up_s: of a
        crowd before, whose last answer is there when this one begins; 0 for none.
        """
        async with self._http:
            await self._crowd(clients, warm_up_s)
            began = time.perf_counter()
            await self._crowd(clients, seconds)
            took = time.perf_counter() - began
        return Tally(tuple(one for one in self._answers if one.began >= began), took)

    async def _crowd(self, clients: int, seconds: float) -> None:
        until = time.perf_counter() + seconds

        async def client() -> None:
            while time.perf_counter() < until:
                await self._ask()

        await asyncio.gather(*[client() for _ in range(clients)])

    async def open(self, rate: float, warm_up_s: float, seconds: float, seed: int = 0) -> Tally:
        """So many requests a second on the mean; those that come after the warm-up count."""
        began = time.perf_counter()
        tasks: list[asyncio.Task[None]] = []
        refused: list[Answer] = []
        async with self._http:
            async for now in arrivals(rate, warm_up_s + seconds, random.Random(seed)):
                if sum(not task.done() for task in tasks) < MOST_AT_ONCE:
                    tasks.append(asyncio.create_task(self._ask()))
                else:
                    refused.append(Answer(now, now, "not sent: too many are open"))
            await asyncio.gather(*tasks)
        start = began + warm_up_s
        counted = [one for one in (*self._answers, *refused) if one.began >= start]
        return Tally(tuple(counted), seconds)

    async def _ask(self) -> None:
        ask = next(self._asks)
        began = time.perf_counter()
        previewed: float | None = None
        fault: str | None
        try:
            async with self._http.stream("POST", ask.job.path, **ask.content) as response:
                status = response.status_code
                if status != 200:
                    fault = f"{status}: {(await response.aread())[:200].decode(errors='replace')}"
                elif ask.mix.streamed:
                    previewed, fault = await follow(response)
                else:
                    fault = missing(json.loads(await response.aread()))
        except (httpx.HTTPError, ValueError) as error:
            status, fault = 0, repr(error)
        self._answers.append(
            Answer(
                began,
                time.perf_counter(),
                fault,
                busy=status == 429,
                bulk=ask.bulk,
                previewed=previewed,
            )
        )


async def follow(response: httpx.Response) -> tuple[float | None, str | None]:
    """When the first preview of an answer in events came, and what is wrong with the answer."""
    previewed: float | None = None
    fault: str | None = "the events ended without a picture"
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name != "event":
            continue
        if value.endswith(".partial_image") and previewed is None:
            previewed = time.perf_counter()
        if value.endswith(".completed"):
            fault = None
        if value == "error":
            fault = "the events ended with an error"
    return previewed, fault


def missing(answer: Any) -> str | None:
    """What an answer lacks, if anything."""
    files = answer.get("data") if isinstance(answer, dict) else None
    if not files or not (files[0].get("b64_json") or files[0].get("url")):
        return "the answer holds no picture"
    return None


async def arrivals(rate: float, seconds: float, chance: random.Random) -> AsyncIterator[float]:
    """Wakes at each arrival of a Poisson process, telling perf_counter's time of it."""
    began = at = time.perf_counter()
    while (at := at + chance.expovariate(rate)) < began + seconds:
        await asyncio.sleep(at - time.perf_counter())
        yield at


def run(work: Callable[[], Awaitable[Tally]]) -> Tally:
    """The tally of a loop, from code that is not asynchronous."""

    async def main() -> Tally:
        return await work()

    return asyncio.run(main())


def main() -> None:
    """Measure one server, and print the figures as JSON."""
    program = "python -m benchmarks.harness.clients"
    arguments = argparse.ArgumentParser(prog=program, description=__doc__)
    arguments.add_argument("--url", required=True, help="of the server, without /v1")
    arguments.add_argument("--clients", type=int, default=16, help="of the closed loop")
    arguments.add_argument("--rate", type=float, help="requests a second, of an open loop")
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--warm-up", type=float, default=5.0, help="seconds before those")
    arguments.add_argument("--size", default="256x256", help="or several: 128x128,256x256")
    arguments.add_argument("--kinds", default=",".join(KINDS))
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--bulk", type=int, default=0, help="one of so many is bulk work")
    arguments.add_argument("--stream", action="store_true", help="events with one preview")
    arguments.add_argument("--plain", action="store_true", help="OpenAI's own fields alone")
    arguments.add_argument("--limit", type=float, default=5.0, help="seconds, to be in time")
    arguments.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first picture")
    given = arguments.parse_args()
    kinds = tuple(kind for kind in KINDS if kind in given.kinds.split(","))
    sizes = [tuple(int(side) for side in size.split("x")) for size in given.size.split(",")]
    mix = Mix(
        kinds=kinds,
        sizes=tuple((width, height) for width, height in sizes),
        steps=given.steps,
        bulk=given.bulk,
        streamed=given.stream,
        plain=given.plain,
    )

    async def measured() -> Tally:
        clients = Clients(given.url, mix, given.seed)
        if given.rate is None:
            return await clients.closed(given.clients, given.warm_up, given.seconds)
        return await clients.open(given.rate, given.warm_up, given.seconds)

    print(json.dumps(run(measured).figures(given.limit), indent=2))


if __name__ == "__main__":
    main()
