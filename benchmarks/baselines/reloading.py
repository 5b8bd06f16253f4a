"""One diffusers pipeline at a time: another kind of request unloads it and loads its own."""

import gc
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.baselines import pipelines
from benchmarks.jobs import Job, Kind


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
            loaded = pipelines.load(job.kind, self._folder, self._dtype)
            self._held[job.kind] = loaded.to(self._device)
        return pipelines.draw(self._held, job, **more)
