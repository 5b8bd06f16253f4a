"""What serving adds to the bare diffusers loop, one request at a time and nothing remembered.

The same jobs by diffusers' pipelines, by the engine, and by a server over HTTP, in turn, each in
processes of its own: same weights, dtype, threads, sizes, steps and seeds. The engine keeps no
embeddings; every round has a new prompt and seed, so that the library answers nothing. The server's
own timings name the parts of its answer.
"""

import base64
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from typing import Any

import httpx
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.baselines import DrawingProcess, pipelines, processes
from benchmarks.harness import (
    KINDS,
    SAME_PROMPT,
    Job,
    Kind,
    Report,
    Say,
    engines,
    own_seconds,
    serving,
    turns,
)
from benchmarks.overhead.report import BARE, EMPTY, ENGINE, SERVED, WORDS, Measured, report
from deployments.diffusion.profile import EMBEDDED_MODEL

THREADS = 2
NATIVE = 256  # the embedded model's own size
WARM_UP = 1
ALONE_ROUNDS = 2  # of the bare loop before there is a server
ANSWER_WITHIN_S = 120.0
WORDS_SET = {
    "layers": [{"role": "headline", "text": "Fresh today"}, {"role": "price", "text": "$4.90"}]
}


@dataclass(frozen=True, slots=True)
class Case:
    """Pictures of one kind and size; `words`: served once more, with words set on them."""

    name: str
    kind: Kind
    side: int
    steps: int
    rounds: int
    words: bool = False

    def jobs(self) -> list[Job]:
        """One a round, warm-up included, their files made."""
        seeds = range(self.rounds + WARM_UP)
        made = [Job(self.kind, 101 + seed, self.side, self.side, self.steps) for seed in seeds]
        for job in made:
            _ = job.given, job.files
        return made


def cases(quick: bool) -> list[Case]:
    """Work of a second or more, and the embedded model's native size."""
    if quick:
        return [Case(f"{kind} 128x128, 2 steps", kind, 128, 2, 2, kind == "t2i") for kind in KINDS]
    rounds: dict[Kind, int] = {"t2i": 16, "i2i": 4, "inpaint": 4}
    native = [
        Case(f"{kind} {NATIVE}x{NATIVE}, 8 steps", kind, NATIVE, 8, number, kind == "t2i")
        for kind, number in rounds.items()
    ]
    return [Case("t2i 384x384, 40 steps", "t2i", 384, 40, 16), *native]


def measure(quick: bool, say: Say) -> Report:
    """The report; `quick` still starts a server, and ends within a minute."""
    profile = engines.embedded(embedding_cache_bytes=0, threads=THREADS)
    asked = cases(quick)
    with processes.by_pipelines(
        pipelines.handed_over, EMBEDDED_MODEL, torch.float32, THREADS
    ) as bare:
        first = cycle(asked[0].jobs())
        alone = turns.in_turn(
            {BARE: lambda: bare.seconds(next(first))}, ALONE_ROUNDS, clock=own_seconds
        )
        say("starting the engine and a server")
        with (
            serving.signboard(profile) as url,
            httpx.Client(base_url=url, timeout=ANSWER_WITHIN_S) as client,
            processes.engine(profile) as engine,
        ):
            difference = _largest_difference(bare, engine, client, asked[0].jobs()[0])
            measured = [_measure(case, bare, engine, client, say) for case in asked]
    return report(measured, alone[BARE], difference, THREADS)


def _measure(
    case: Case, bare: DrawingProcess, engine: DrawingProcess, client: httpx.Client, say: Say
) -> Measured:
    parts: dict[str, list[dict[str, float]]] = {SERVED: []}

    def served(way: str, job: Job, **more: Any) -> float:
        began = time.perf_counter()
        answer = ask(client, job, **more)
        seconds = time.perf_counter() - began
        parts[way].append(answer["timings_ms"])
        return seconds

    ways: dict[str, Callable[[Job], float]] = {
        BARE: bare.seconds,
        ENGINE: engine.seconds,
        SERVED: partial(served, SERVED),
        EMPTY: lambda _: turns.timed(lambda: client.get("/health/live").raise_for_status()),
    }
    if case.words:
        parts[WORDS] = []
        ways[WORDS] = lambda job: served(
            WORDS, replace(job, seed=job.seed + SAME_PROMPT), overlay=WORDS_SET
        )
    times = turns.in_turn(
        {name: _next_of(way, case.jobs()) for name, way in ways.items()},
        case.rounds,
        WARM_UP,
        own_seconds,
        progress=lambda done, of: say(f"{case.name}: round {done} of {of}"),
    )
    return Measured(
        case.name, case.kind, times, {way: answers[WARM_UP:] for way, answers in parts.items()}
    )


def _next_of(way: Callable[[Job], float], jobs: list[Job]) -> Callable[[], float]:
    """The way, with the next job at each call."""
    coming = iter(jobs)
    return lambda: way(next(coming))


def ask(client: httpx.Client, job: Job, **more: Any) -> dict[str, Any]:
    """A server's answer, drawn for this request. Raises ValueError for a remembered one."""
    answer: dict[str, Any]
    answer = client.post(job.path, **job.request(**more)).raise_for_status().json()
    if answer["cached"]:
        raise ValueError(f"seed {job.seed} was answered from the library")
    return answer


def _largest_difference(
    bare: DrawingProcess, engine: DrawingProcess, client: httpx.Client, job: Job
) -> int:
    """Of the pictures that engine and server make of a job from the bare loop's, in grey levels."""
    job = replace(job, seed=job.seed + 2 * SAME_PROMPT)
    file = base64.b64decode(ask(client, job)["data"][0]["b64_json"])
    served: NDArray[np.uint8] = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    expected = bare.draw(job).astype(int)
    return max(int(np.abs(one - expected).max()) for one in (engine.draw(job), served))
