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

from deployments.diffusion.families.base import EncodedPrompt, Stage
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.request.params import GenerationParams
from deployments.diffusion.request.request import Row, Start
from deployments.diffusion.weights.components import SharedComponents
from deployments.handover import Given


class Budget(TorchDispatchMode):
    """Counts the bytes of live storages. limits: for each stage; peaks: of each stage so far."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: dict[Stage, int] = {}
        self.peaks: dict[Stage, int] = {}
        self._stage: Stage | None = None
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}
        self._at_most = 0  # the bytes of all in _live, the dead included: they go when it matters

    def count(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage from now on, until it is freed."""
        storage = tensor.untyped_storage()
        reference = StorageWeakRef(storage)
        if reference.cdata not in self._live:
            self._live[reference.cdata] = (reference, storage.nbytes())
            self._at_most += storage.nbytes()

    def spare(self, tensor: torch.Tensor) -> None:
        """Do not count it any more: it lies in host memory."""
        _, size = self._live.pop(StorageWeakRef(tensor.untyped_storage()).cdata)
        self._at_most -= size

    @property
    def held(self) -> int:
        """Bytes that live now."""
        self._live = {key: one for key, one in self._live.items() if not one[0].expired()}
        self._at_most = sum(size for _, size in self._live.values())
        return self._at_most

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
        leaves = [leaf for leaf in tree_leaves(results) if isinstance(leaf, torch.Tensor)]
        floats = [leaf for leaf in leaves if leaf.is_floating_point()]
        for result in floats:  # tokens are made in host memory
            self.count(result)
        stage = self._stage
        if stage is not None and floats:
            limit, peak = self.limits.get(stage, 2**62), self.peaks.get(stage, 0)
            if self._at_most > min(limit, peak):
                self.peaks[stage] = max(self.held, peak)
                if self.held > limit:
                    raise torch.OutOfMemoryError(f"{stage}: more than {limit} bytes")
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
            components.tokenizers,
            components.scheduler_config,
            components.settings,
            components.device,
            components.dtype,
        )
        object.__setattr__(small, "budget", budget)
        super().__init__(small, max_prompt_tokens)
        self.budget = budget
        for tensor in components.tensors():
            budget.count(tensor)
        budget.__enter__()  # for the rest of the device thread's life

    def encode(self, prompt: str, references: object = ()) -> EncodedPrompt:
        with self.budget.stage("encode"):
            return super().encode(prompt)

    def start(
        self, params: GenerationParams, given: Given | None, *, tiled: bool = False
    ) -> list[Start]:
        with self.budget.stage("start"):
            return super().start(params, given, tiled=tiled)

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        with self.budget.stage("forward"):
            return super().velocity(rows)

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> np.ndarray:
        with self.budget.stage("decode"):
            return super().decode(latents, tiled=tiled)
