"""One matrix of a LoRA file: whether it fits its layers, and what it adds to each of them.

A file's matrix may be several layers': attention's q, k and v are one in the models' own code. Each
is given its rows, which is exact. What they share is held once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from deployments.diffusion.styles.layers import Part, outputs
from deployments.diffusion.styles.lora_file import Told
from deployments.diffusion.styles.peft_settings import PeftSettings
from deployments.diffusion.styles.updates import (
    Decomposed,
    Kronecker,
    Layer,
    LowRank,
    Update,
    gain_of,
)

VECTORS = ("alpha", "bias", "magnitude")


class Misfit(ValueError):
    """What is told of a matrix is not one, or not one of these layers."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """What is told of one matrix, and whose it is.

    parts: its layers; none where nothing depends on it. modules: the layers, by name. settings:
    peft's. dtype: what the model runs in.
    """

    told: Told
    parts: tuple[Part, ...]
    modules: Mapping[str, Layer]
    settings: PeftSettings
    dtype: torch.dtype

    def updates(self) -> Iterator[tuple[str, Update]]:
        """What is added to each of its layers, by name. Raises ValueError where it does not fit."""
        has, name = self.told.tensors, self.told.found.name
        if not all(tensor.isfinite().all() for tensor in has.values()):
            raise Misfit(f"{name!r} holds values that are not finite")
        if "alpha" in has and has["alpha"].numel() != 1:
            raise Misfit(f"the alpha of {name!r} is no number")
        matrices = {one: tensor for one, tensor in has.items() if one not in VECTORS}
        self._require(not self.parts or all(one.dim() > 1 for one in matrices.values()))
        if not self.parts:
            return
        whole = self._whole()
        gain = self._gain(whole) if "magnitude" in has else None
        for part in self.parts:
            update: Update = whole.of_rows(part.rows)
            if gain is not None:
                by_inputs = self._by_inputs
                own = gain if by_inputs else torch.cat([gain[rows] for rows in part.rows])
                update = Decomposed(update, own, by_inputs=by_inputs)
            yield part.layer, update

    def _whole(self) -> LowRank | Kronecker:
        has = self.told.tensors
        if {"down", "up"} <= has.keys():
            return self._low_rank()
        if {"w1", "w1_a"} & has.keys() and {"w2", "w2_a"} & has.keys():
            return self._kronecker()
        raise Misfit(f"{self.told.found.name!r} lacks one of its two matrices")

    @property
    def _layer(self) -> Layer:
        """One of its layers, all of which read the same."""
        return self.modules[self.parts[0].layer]

    @property
    def _outputs(self) -> int:
        return sum(outputs(self.modules[part.layer]) for part in self.parts)

    @property
    def _inputs(self) -> tuple[int, ...]:
        """What a row of it reads: (in,) or (in, h, w)."""
        return tuple(self._layer.weight.shape[1:])

    def _require(self, fits: bool) -> None:
        if not fits:
            here = "x".join(map(str, (self._outputs, *self._inputs)))
            shapes = [tuple(one.shape) for one in self.told.tensors.values() if one.dim() > 1]
            there = " by ".join(map(str, reversed(shapes)))
            raise Misfit(f"{self.told.found.name!r} is {here}, which {there} does not fit")

    def _low_rank(self) -> LowRank:
        has, inputs = self.told.tensors, self._inputs
        down, up, rank = has["down"], has["up"], len(has["down"])
        if "mid" in has:  # Tucker's: down is of one pixel, mid of the whole kernel
            mid = has["mid"]
            self._require(mid.shape[1] == rank and down.numel() == rank * inputs[0])
            self._require(up.shape[:2] == (self._outputs, len(mid)))
            down = torch.einsum("ijhw,jr->irhw", mid.float(), down.flatten(1).float())
        self._require(rank > 0 and down.shape[1:2] == inputs[:1])
        self._require(up.shape[:2] == (self._outputs, len(down)))
        self._require(down[0].numel() == prod(inputs) and up[0].numel() == len(down))
        ones = (1,) * (len(inputs) - 1)
        bias = has.get("bias")
        self._require(bias is None or bias.shape == (self._outputs,))
        return LowRank(
            self._placed(down.reshape(-1, *inputs)),
            self._placed(up.reshape(*up.shape[:2], *ones)),
            self._scale(rank),
            None if bias is None else self._placed(bias),
        )

    def _kronecker(self) -> Kronecker:
        has, inputs = self.told.tensors, self._inputs
        ranks = [len(has[one]) for one in ("w1_b", "w2_b") if one in has]
        first = has["w1"] if "w1" in has else self._product("w1_a", "w1_b")
        second = has["w2"] if "w2" in has else self._second()
        self._require(first.dim() == 2 and second.dim() >= 2)
        self._require(first.shape[0] * second.shape[0] == self._outputs)
        self._require(first.shape[1] * second[0].numel() == prod(inputs))
        self._require(inputs[0] % first.shape[1] == 0)
        second = second.reshape(len(second), inputs[0] // first.shape[1], *inputs[1:])
        scale = self.settings.kronecker_scale(self.told.found.name)
        if "alpha" in has:  # LyCORIS's, which scales what was trained in a rank alone
            scale = self._scale(ranks[-1]) if ranks else 1.0
        return Kronecker(self._placed(first), self._placed(second), scale, (slice(None),))

    def _second(self) -> Tensor:
        has = self.told.tensors
        if "t2" not in has or "w2_b" not in has:
            return self._product("w2_a", "w2_b")
        a, b, core = has["w2_a"], has["w2_b"], has["t2"]
        self._require_small(a.shape[1], *b.shape[1:], *core.shape[2:])
        return torch.einsum("ijhw,jr,ip->prhw", core.float(), b.float(), a.float())

    def _product(self, first: str, second: str) -> Tensor:
        if second not in self.told.tensors:
            raise Misfit(f"{self.told.found.name!r} lacks one of its two matrices")
        a, b = self.told.tensors[first], self.told.tensors[second]
        self._require_small(len(a), *b.shape[1:])
        return a.float() @ b.float()

    def _require_small(self, *shape: int) -> None:
        """Before it is multiplied out: long thin factors would take any memory."""
        self._require(prod(shape) <= self._outputs * prod(self._inputs))

    @property
    def _by_inputs(self) -> bool:
        """Whether a magnitude is told for each input, as LyCORIS's older way and OneTrainer's are;
        peft's own is always for each output."""
        magnitude = self.told.tensors["magnitude"]
        wide = magnitude.numel() == self._inputs[0]
        pefts = "lora_magnitude_vector" in self.told.keys["magnitude"]
        return (
            wide
            and not pefts
            and (magnitude.shape[:1] == (1,) or magnitude.numel() != self._outputs)
        )

    def _gain(self, whole: LowRank | Kronecker) -> Tensor:
        """DoRA's, of the whole matrix."""
        magnitude = self.told.tensors["magnitude"].flatten()
        self._require(self._by_inputs or len(magnitude) == self._outputs)
        weight = self._weight()
        changed = weight + whole.matrix().to(weight.device)
        return gain_of(magnitude, changed, by_inputs=self._by_inputs)

    def _weight(self) -> Tensor:
        """The layers' own weights as the one matrix that they are in the file, float32."""
        rows: dict[int, Tensor] = {}
        for part in self.parts:
            weight = self.modules[part.layer].weight
            if weight.dtype.itemsize == 1:
                raise Misfit("DoRA needs the weights before they are stored in 8 bits: load it "
                             "with the model, from its profile")  # fmt: skip
            pieces = weight.float().chunk(len(part.rows))
            rows |= {own.start or 0: piece for own, piece in zip(part.rows, pieces, strict=True)}
        return torch.cat([rows[begin] for begin in sorted(rows)])

    def _scale(self, rank: int) -> float:
        if "alpha" in self.told.tensors:
            return float(self.told.tensors["alpha"]) / rank
        return self.settings.scale(self.told.found.name, rank)

    def _placed(self, tensor: Tensor) -> nn.Parameter:
        return nn.Parameter(tensor.to(self.dtype).contiguous(), requires_grad=False)
