"""Muon (Jordan et al. 2024): momentum whose update is orthogonalised.

It iterates in bfloat16 only where the device has instructions for it, unlike torch's optimiser of
the same name: other CPUs are ten times slower at that. Matrices of one shape are orthogonalised
together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import overload

import torch
from torch import Tensor

from training.session import computes_bfloat16

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # quintic Newton-Schulz iteration of the paper


def orthogonalise(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Push the singular values of (n, rows, columns) matrices towards 1."""
    dtype = torch.bfloat16 if computes_bfloat16() else matrices.dtype
    is_wide = matrices.shape[1] <= matrices.shape[2]
    x: Tensor = matrices if is_wide else matrices.mT
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(dtype)
    a, b, c = COEFFICIENTS
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if is_wide else x.mT).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """For weights of two or more dimensions; the trailing ones are taken as one.

    The update's size matches AdamW's (0.2 x sqrt of the longer side, Liu et al. 2025), so that
    both take like learning rates.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None if closure is None else closure()
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(momentum, group["momentum"])  # Nesterov
                rows = weight.shape[0]
                alike[(rows, weight.numel() // rows)].append((weight, ahead))
            for shape, members in alike.items():
                updates = orthogonalise(torch.stack([ahead.reshape(shape) for _, ahead in members]))
                scale = -group["lr"] * 0.2 * max(shape) ** 0.5
                for (weight, _), update in zip(members, updates, strict=True):
                    weight.add_(update.reshape(weight.shape), alpha=scale)
        return loss
