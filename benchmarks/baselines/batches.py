"""diffusers' pipelines in a Ray Serve replica with `@serve.batch`, behind OpenAI's image routes.

What waits is taken in batches, which are parted by kind, size, steps and strength; each part is one
call of its pipeline, off the event loop.
"""

import asyncio
from typing import Annotated, Any

import torch
from fastapi import FastAPI, Form
from PIL import Image
from ray import serve

from benchmarks.baselines import pipelines
from benchmarks.baselines.asking import Asked, EditForm, Fields, answer, call, edit
from deployments.diffusion.profile import EMBEDDED_MODEL

MOST_AT_ONCE = 16  # as many as there are clients: parts of about five of a kind
WAIT_S = 0.01  # Ray Serve's default

app = FastAPI()


@serve.deployment(max_ongoing_requests=400)
@serve.ingress(app)
class Batches:
    """One replica. threads: of the model."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self._pipelines = pipelines.handed_over(EMBEDDED_MODEL, torch.float32)

    @app.get("/health")
    async def health(self) -> None: ...

    @app.post("/v1/images/generations")
    async def generations(self, body: Fields) -> dict[str, Any]:
        return await self._answer(Asked("t2i", body))

    @app.post("/v1/images/edits")
    async def edits(self, form: Annotated[EditForm, Form()]) -> dict[str, Any]:
        return await self._answer(await asyncio.to_thread(edit, form))

    async def _answer(self, asked: Asked) -> dict[str, Any]:
        return await asyncio.to_thread(answer, await self._drawn(asked))

    @serve.batch(max_batch_size=MOST_AT_ONCE, batch_wait_timeout_s=WAIT_S)
    async def _drawn(self, batch: list[Asked]) -> list[Image.Image]:
        return await asyncio.to_thread(self._draw, batch)

    def _draw(self, batch: list[Asked]) -> list[Image.Image]:
        drawn: dict[int, Image.Image] = {}
        for alike in {one.alike: None for one in batch}:
            part = [i for i, one in enumerate(batch) if one.alike == alike]
            asked = [batch[i] for i in part]
            with torch.inference_mode():
                pictures = self._pipelines[asked[0].kind](**call(asked)).images
            drawn.update(zip(part, pictures, strict=True))
        return [drawn[i] for i in range(len(batch))]


def run(port: int, host: str, threads: int) -> None:
    """Serve one replica on a cluster that is there already."""
    serve.start(http_options={"host": host, "port": port})
    variables = {"OMP_NUM_THREADS": str(threads)}  # Ray would set one for one CPU
    options = {"num_cpus": 1, "runtime_env": {"env_vars": variables}}
    deployment: Any = Batches  # what the decorator makes of a class
    serve.run(deployment.options(ray_actor_options=options).bind(threads))
