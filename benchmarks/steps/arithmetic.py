"""What a forward of Z-Image's transformer computes, and the time that this predicts.

Two kinds of work grow apart: what every token goes through alone (matrices), and what every token
does with every other of its row (attention). A step's time is modelled as

    seconds = fixed + per_matrix_flop * matrices + per_attention_flop * attention
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

MODULATION = "adaLN"  # matrices that a row goes through once, not each of its tokens
FLOPS = 2  # a multiplication and an addition


@dataclass(frozen=True, slots=True)
class Flops:
    """Floating-point operations of one forward. attention: of the scores and of their sum."""

    matrices: int
    attention: int


def of_forward(transformer: Any, image: int, caption: int, rows: int) -> Flops:
    """Of `rows` equal rows. image, caption: tokens of one, padding included."""
    both = image + caption
    embedders = [*transformer.all_x_embedder.values()]
    weights = (
        image * _weights(transformer.noise_refiner, *embedders)
        + caption * _weights(transformer.context_refiner, transformer.cap_embedder)
        + both * _weights(transformer.layers, *transformer.all_final_layer.values())
        + _weights(transformer.t_embedder)
        + _modulation(transformer)
    )
    pairs = (
        both**2 * len(transformer.layers)
        + image**2 * len(transformer.noise_refiner)
        + caption**2 * len(transformer.context_refiner)
    )
    return Flops(FLOPS * rows * weights, 2 * FLOPS * rows * pairs * transformer.dim)


@dataclass(frozen=True, slots=True)
class StepTime:
    """The model's three constants, in seconds and seconds a FLOP."""

    fixed: float
    per_matrix_flop: float
    per_attention_flop: float

    @classmethod
    def fit(cls, forwards: Sequence[Flops], seconds: Sequence[float]) -> "StepTime":
        """The constants of the least sum of squared relative errors."""
        terms = np.array([[1.0, one.matrices, one.attention] for one in forwards])
        scale = terms.max(axis=0)  # the terms are ten orders of magnitude apart
        relative = terms / scale / np.asarray(seconds)[:, None]
        constants = np.linalg.lstsq(relative, np.ones(len(seconds)))[0] / scale
        return cls(*map(float, constants))

    def seconds(self, forward: Flops) -> float:
        """What a forward should take."""
        return (
            self.fixed
            + self.per_matrix_flop * forward.matrices
            + self.per_attention_flop * forward.attention
        )


def _weights(*modules: nn.Module) -> int:
    """Of the matrices that tokens go through."""
    return sum(
        layer.weight.numel()
        for module in modules
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear) and MODULATION not in name
    )


def _modulation(transformer: nn.Module) -> int:
    return sum(
        layer.weight.numel()
        for name, layer in transformer.named_modules()
        if isinstance(layer, nn.Linear) and MODULATION in name
    )
