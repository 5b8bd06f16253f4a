"""diffusers' own pipelines, one for each kind of request, come by in the ways that people use."""

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    ZImageImg2ImgPipeline,
    ZImageInpaintPipeline,
    ZImagePipeline,
)
from numpy.typing import NDArray

from benchmarks.harness import Job, Kind

CLASSES: Mapping[Kind, Any] = {
    "t2i": ZImagePipeline,
    "i2i": ZImageImg2ImgPipeline,
    "inpaint": ZImageInpaintPipeline,
}
Pipelines = dict[Kind, Any]


def load(kind: Kind, folder: Path, dtype: torch.dtype) -> Any:
    """One pipeline with weights of its own."""
    pipeline: DiffusionPipeline = CLASSES[kind].from_pretrained(folder, dtype=dtype)
    return quiet(pipeline)


def separate(folder: Path, dtype: torch.dtype) -> Pipelines:
    """Each kind loaded by itself."""
    return {kind: load(kind, folder, dtype) for kind in CLASSES}


def from_pipe(folder: Path, dtype: torch.dtype) -> Pipelines:
    """The first loaded, the others made `from_pipe`, told the dtype that it would change."""
    first = load("t2i", folder, dtype)
    made: Pipelines = {"t2i": first}
    for kind in ("i2i", "inpaint"):
        made[kind] = quiet(CLASSES[kind].from_pipe(first, dtype=dtype))
    return made


def handed_over(folder: Path, dtype: torch.dtype) -> Pipelines:
    """The first loaded, its components handed to the others; each has a scheduler of its own."""
    first = load("t2i", folder, dtype)
    made: Pipelines = {"t2i": first}
    for kind in ("i2i", "inpaint"):
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(first.scheduler.config)
        made[kind] = quiet(CLASSES[kind](**{**first.components, "scheduler": scheduler}))
    return made


def draw(pipelines: Pipelines, job: Job, **more: Any) -> NDArray[np.uint8]:
    """The picture of a job: uint8 (H, W, 3). more: arguments of the pipeline."""
    with torch.inference_mode():
        return np.asarray(pipelines[job.kind](**job.call, **more).images[0])


def quiet(pipeline: Any) -> Any:
    """Without a progress bar, which costs time and says nothing here."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class Reloading:
    """Holds the pipeline of the last kind that was asked for."""

    def __init__(self, folder: Path, dtype: torch.dtype, device: torch.device) -> None:
        self._folder = folder
        self._dtype = dtype
        self._device = device
        self._held: dict[Kind, Any] = {}

    def draw(self, job: Job, **more: Any) -> NDArray[np.uint8]:
        """The picture of a job: uint8 (H, W, 3). more: arguments of the pipeline."""
        if job.kind not in self._held:
            self._held.clear()
            gc.collect()  # modules are in cycles; without this two sets would be held at once
            loaded = load(job.kind, self._folder, self._dtype)
            self._held[job.kind] = loaded.to(self._device)
        return draw(self._held, job, **more)
