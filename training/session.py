"""What both trainings share: the clock, the learning-rate schedule, averaging, checkpoints."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)

SHIPPED = Path(__file__).parents[1] / "deployments" / "diffusion" / "embedded"
WARM_UP_STEPS = 50
COOL_DOWN = 0.5  # share of the run in which the learning rate falls to nothing


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def computes_bfloat16() -> bool:
    """Whether the device multiplies bfloat16 faster than float32."""
    if device().type == "cuda":
        return True
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def fast_precision() -> torch.autocast:
    """bfloat16 for what is not sensitive to it, where the device has instructions for it."""
    return torch.autocast(device().type, torch.bfloat16, enabled=computes_bfloat16())


def replace_file(state: Any, path: Path) -> None:
    """Save so that a reader, or a run cut off midway, never meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


class Average:
    """Exponential moving average of a module's parameters."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Average with a decay that grows with the step, so that early weights fade soon."""
        decay = min(self.decay, step / (step + 10))
        current = [p.detach() for _, p in module.named_parameters()]
        torch._foreach_lerp_(list(self.weights.values()), current, 1 - decay)

    def copy_to(self, module: nn.Module) -> None:
        module.load_state_dict(self.weights, strict=False)


def in_bfloat16(module: ModuleT) -> ModuleT:
    """A copy whose parameters, though not its buffers, are in bfloat16."""
    copied = copy.deepcopy(module)
    for weight in copied.parameters():
        weight.data = weight.data.bfloat16()
    return copied


class Session:
    """A training run of a given length that goes on from its last checkpoint.

    Time counts while the run is at work, over all the processes that continued it. `worker` is
    what the loss is computed with: the module itself, or a copy of it in lower precision, whose
    gradients are brought to the module and which follows it after each step.
    """

    def __init__(
        self,
        folder: Path,
        minutes: float,
        module: nn.Module,
        optimisers: Iterable[torch.optim.Optimizer],
        decay: float,
        save_every_minutes: float = 5.0,
        worker: nn.Module | None = None,
    ) -> None:
        self.path = folder / "checkpoint.pt"
        self.length = minutes * 60
        self.module = module
        self.optimisers = list(optimisers)
        self.rates = [[g["lr"] for g in o.param_groups] for o in self.optimisers]
        self.average = Average(module, decay)
        self.save_every = save_every_minutes * 60
        self.step = 0
        self.before = 0.0  # seconds spent by earlier processes
        if self.path.exists():
            self._load()
        self.worker = module if worker is None else worker
        self._follow()
        self.started = self.saved = time.monotonic()

    @property
    def elapsed(self) -> float:
        return self.before + time.monotonic() - self.started

    @property
    def finished(self) -> bool:
        return self.elapsed >= self.length

    def set_rates(self) -> None:
        """Warm-up, constant, then linear cool-down."""
        left = 1 - min(1.0, self.elapsed / self.length)
        factor = min(1.0, (self.step + 1) / WARM_UP_STEPS, left / COOL_DOWN)
        for optimiser, rates in zip(self.optimisers, self.rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor

    def advance(self, loss: Tensor) -> None:
        """One optimiser step on the loss; saves when it is time."""
        self.set_rates()
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._collect()
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self._follow()
        self.step += 1
        self.average.update(self.module, self.step)
        if time.monotonic() - self.saved > self.save_every:
            self.save()

    def _collect(self) -> None:
        """Bring the worker's gradients to the module."""
        if self.worker is not self.module:
            pairs = zip(self.module.parameters(), self.worker.parameters(), strict=True)
            for weight, copied in pairs:
                if copied.grad is not None:
                    weight.grad = copied.grad.to(weight.dtype)
                    copied.grad = None

    @torch.no_grad()
    def _follow(self) -> None:
        """Bring the module's weights to the worker."""
        if self.worker is not self.module:
            copies: list[Tensor] = list(self.worker.parameters())
            torch._foreach_copy_(copies, list[Tensor](self.module.parameters()))

    def save(self) -> None:
        state = {
            "module": self.module.state_dict(),
            "average": self.average.weights,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step,
            "elapsed": self.elapsed,
        }
        replace_file(state, self.path)
        self.saved = time.monotonic()

    def _load(self) -> None:
        state = torch.load(self.path, map_location=device(), weights_only=True)
        self.module.load_state_dict(state["module"])
        self.average.weights = state["average"]
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.before = state["step"], state["elapsed"]
