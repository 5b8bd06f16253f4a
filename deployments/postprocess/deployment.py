"""The post-process room as a Ray Serve deployment: CPU work off the event loop, nothing more."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from ray import serve

from deployments.handover import Drawn, Fitted
from deployments.postprocess import render
from deployments.postprocess.compose import enlarge
from deployments.postprocess.delivery import Delivery, FinishSpec
from deployments.postprocess.encode import encode
from deployments.postprocess.finish import finish
from deployments.postprocess.intake import IntakeLimits, fit_upload
from deployments.postprocess.spec import Output


@serve.deployment
class PostProcessDeployment:
    """Intake of uploads, words, placements and file formats.

    sizes: (width, height) that an upload of no stated size is fitted to. threads: pictures worked
    on at once; Serve's `max_ongoing_requests` bounds what waits for them.
    """

    def __init__(
        self, sizes: Sequence[tuple[int, int]], limits: IntakeLimits, threads: int = 2
    ) -> None:
        self._sizes = sizes
        self._limits = limits
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix="postprocess")
        render.warm()

    async def intake(
        self,
        image: bytes,
        mask: bytes | None,
        size: tuple[int, int] | None,
        fit: Literal["crop", "pad"],
    ) -> Fitted:
        """An upload as the diffusion room takes it; raises what `fit_upload` raises."""
        width, height = size or (None, None)
        return await asyncio.get_running_loop().run_in_executor(
            self._workers,
            lambda: fit_upload(image, mask, width, height, fit, self._sizes, self._limits),
        )

    async def finish(self, drawn: Drawn, spec: FinishSpec) -> Delivery:
        """Every drawn picture, finished as `spec` says; raises what `finish` raises."""
        return await asyncio.get_running_loop().run_in_executor(
            self._workers, lambda: deliver(drawn, spec)
        )

    async def preview(
        self, pixels: NDArray[np.uint8], size: tuple[int, int], output: Output
    ) -> bytes:
        """A preview, uint8 (h, w, 3), enlarged to (width, height), as a file."""
        return await asyncio.get_running_loop().run_in_executor(
            self._workers, lambda: encode(enlarge(pixels, *size), output, {})[0]
        )


def deliver(drawn: Drawn, spec: FinishSpec) -> Delivery:
    """Finish each picture in turn and join what both rooms know."""
    finished = tuple(
        finish(
            picture,
            spec.overlay,
            spec.placement,
            spec.output,
            {**spec.metadata, "seed": str(seed)},
        )
        for picture, seed in zip(drawn.pictures, drawn.seeds, strict=True)
    )
    timings = Counter(drawn.timings_ms)
    for one in finished:
        timings.update(one.timings_ms)
    return Delivery(
        id=drawn.id,
        pictures=finished,
        seeds=drawn.seeds,
        steps_executed=drawn.steps_executed,
        timings_ms=dict(timings),
        warnings=drawn.warnings,
    )
