"""200 mixed requests at concurrency 16: no error, no leak, every picture as if made alone."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np

from deployments.diffusion.request.params import GenerationParams
from deployments.handover import Given
from tests.tiny_checkpoint import WORDS, tiny_profile
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import KINDS
from tests.unit.diffusion.settled import settled_bytes

Asked = tuple[GenerationParams, Given | None]
PAGE = 4096


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def mixed(count: int) -> list[Asked]:
    rng = random.Random(3)
    kinds: tuple[Callable[..., Asked], ...] = KINDS
    return [
        kinds[i % 3](
            prompt=" ".join(rng.choices(WORDS, k=rng.randint(1, 45))),
            width=rng.choice((64, 96)),
            height=rng.choice((64, 80)),
            num_inference_steps=rng.randint(1, 5),
            seed=i,
        )
        for i in range(count)
    ]


def test_two_hundred_mixed_requests(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint, embedding_cache_bytes=0, threads=2))
    asked = mixed(200)
    alone = [engine.submit(f"alone-{i}", *one).result(60).pictures for i, one in enumerate(asked)]
    before = settled_bytes(engine)
    resident: list[int] = []

    def ask(i: int) -> np.ndarray:
        pictures = engine.submit(f"{i}", *asked[i]).result(120).pictures
        resident.append(resident_bytes())
        return pictures

    with ThreadPoolExecutor(16) as clients:
        together = list(clients.map(ask, range(len(asked))))
    for ours, twin in zip(together, alone, strict=True):
        assert_same_picture(ours, twin)
    assert engine.state().shared_forwards > 50
    assert engine.state().decodes_beside > 20
    assert median(resident[150:]) <= 1.05 * median(resident[50:100])
    assert settled_bytes(engine) == before
