"""A device with little memory: every storage that lives on it counts, and too many are refused.

The engine's thread enters a `Budget`, which sees each operator's results. What a stage may hold at
most is set from outside, as if others used the device too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deployments.diffusion.components import SharedComponents
from deployments.diffusion.families import Encoding, Stage
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.params import GenerationParams
from deployments.diffusion.request import Generation, Start
from deployments.handover import Fitted


class Budget(TorchDispatchMode):
    """Counts the bytes of live storages. limits: for each stage; peaks: of each stage so far."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: dict[Stage, int] = {}
        self.peaks: dict[Stage, int] = {}
        self._stage: Stage | None = None
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    def count(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage from now on, until it is freed."""
        storage = tensor.untyped_storage()
        reference = StorageWeakRef(storage)
        self._live[reference.cdata] = (reference, storage.nbytes())

    def spare(self, tensor: torch.Tensor) -> None:
        """Do not count it any more: it lies in host memory."""
        del self._live[StorageWeakRef(tensor.untyped_storage()).cdata]

    @property
    def held(self) -> int:
        """Bytes that live now."""
        for key, (reference, _) in list(self._live.items()):
            if reference.expired():
                del self._live[key]
        return sum(size for _, size in self._live.values())

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """While the stage runs its limit holds."""
        self._stage = stage
        self.limits = self.read_limits()
        try:
            yield
        finally:
            self._stage = None

    def read_limits(self) -> dict[Stage, int]:
        """The limits in force from now on."""
        return self.limits

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        for result in tree_leaves(results):
            if isinstance(result, torch.Tensor):
                self.count(result)
        stage = self._stage
        if stage is not None:
            held = self.held
            limit = self.limits.get(stage)
            if limit is not None and held > limit:
                raise torch.OutOfMemoryError(f"{stage}: {held} bytes are more than {limit}")
            self.peaks[stage] = max(held, self.peaks.get(stage, 0))
        return results


class SmallDevice(SharedComponents):
    """Components on a device with a budget; what they keep in host memory is free."""

    budget: Budget

    def to_host(self, tensor: torch.Tensor) -> torch.Tensor:
        host = super().to_host(tensor)
        self.budget.spare(host)
        return host


class OnSmallDevice(ZImage):
    """Z-Image whose stages run within the budget of its device."""

    def __init__(
        self, components: SharedComponents, max_prompt_tokens: int, budget: Budget
    ) -> None:
        small = SmallDevice(
            components.modules,
            components.tokenizer,
            components.scheduler_config,
            components.device,
            components.dtype,
        )
        object.__setattr__(small, "budget", budget)
        super().__init__(small, max_prompt_tokens)
        self.budget = budget
        for tensor in components.tensors():
            budget.count(tensor)
        budget.__enter__()  # for the rest of the device thread's life

    def encode(self, prompt: str) -> Encoding:
        with self.budget.stage("encode"):
            return super().encode(prompt)

    def start(self, params: GenerationParams, given: Fitted | None) -> list[Start]:
        with self.budget.stage("start"):
            return super().start(params, given)

    def velocity(self, rows: Sequence[Generation]) -> list[torch.Tensor]:
        with self.budget.stage("forward"):
            return super().velocity(rows)

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> np.ndarray:
        with self.budget.stage("decode"):
            return super().decode(latents, tiled=tiled)
