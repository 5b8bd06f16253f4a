"""What adapters add to one layer: matrices that are never multiplied out, and never rounded twice.

A scale is no part of a matrix: matrices are kept in the dtype that the model runs in, and what is
scaled before it is rounded to that is another picture. Peft multiplies last, too.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Layer = nn.Linear | nn.Conv2d
Own = Callable[[], Tensor]
"""The layer's own outputs for the same inputs, before anything was added to them."""


class Update(nn.Module):
    """Something to be added to a layer's outputs. Called with the layer's inputs, the layer and its
    own outputs, it gives what to add; the caller multiplies that by `scale`.

    Of a linear layer inputs are (..., in) and outputs (..., out), of a convolution (rows, in, H, W)
    and (rows, out, H, W).
    """

    scale: float = 1.0

    def forward(self, x: Tensor, layer: Layer, own: Own) -> Tensor:
        """What to add to the outputs, before it is scaled."""
        raise NotImplementedError

    def matrix(self) -> Tensor:
        """What it adds to the layer's weight, scaled, float32 (out, in) or (out, in, h, w)."""
        raise NotImplementedError


class LowRank(Update):
    """LoRA (Hu et al. 2021): up @ down, of (out, rank) and (rank, in).

    Of a convolution `down` is (rank, in, h, w), with the layer's stride and padding, and `up` is
    (out, rank, 1, 1). bias: (out,).
    """

    def __init__(
        self, down: Tensor, up: Tensor, scale: float = 1.0, bias: Tensor | None = None
    ) -> None:
        super().__init__()
        self.down = _parameter(down)
        self.up = _parameter(up)
        self.bias = None if bias is None else _parameter(bias)
        self.scale = scale

    def forward(self, x: Tensor, layer: Layer, own: Own) -> Tensor:
        """up(down(x))."""
        low = _through(layer, x.to(self.down.dtype), self.down)
        if isinstance(layer, nn.Conv2d):
            return functional.conv2d(low, self.up, self.bias)
        return functional.linear(low, self.up, self.bias)

    def of_rows(self, rows: Sequence[slice]) -> "LowRank":
        """The same for some of the outputs; `down` is shared."""
        bias = None if self.bias is None else _rows(self.bias, rows)
        return LowRank(self.down, _rows(self.up, rows), self.scale, bias)

    def matrix(self) -> Tensor:
        product = self.up.float().flatten(1) @ self.down.float().flatten(1)
        return self.scale * product.view(-1, *self.down.shape[1:])


class Kronecker(Update):
    """LoKr (Yeh et al. 2023): the Kronecker product (a c, b d) of first (a, b) and second (c, d).

    Of a convolution second is (c, d, h, w).
    rows: those of the product that are this layer's, of a matrix that is several layers'.
    """

    def __init__(self, first: Tensor, second: Tensor, scale: float, rows: Sequence[slice]) -> None:
        super().__init__()
        self.first = _parameter(first)
        self.second = _parameter(second)
        self.scale = scale
        self.rows = tuple(rows)

    def forward(self, x: Tensor, layer: Layer, own: Own) -> Tensor:
        """Both factors in turn: their product is as large as the layer's weight."""
        x = x.to(self.first.dtype)
        blocks, inner = self.first.shape[1], self.second.shape[1]
        if isinstance(layer, nn.Conv2d):
            each = _through(layer, x.reshape(-1, inner, *x.shape[2:]), self.second)
            each = each.view(len(x), blocks, *each.shape[1:])
            product = torch.einsum("ab,nb...->na...", self.first, each).flatten(1, 2)
            return torch.cat([product[:, rows] for rows in self.rows], dim=1)
        each = functional.linear(x.reshape(*x.shape[:-1], blocks, inner), self.second)
        product = (self.first @ each).flatten(-2)
        return torch.cat([product[..., rows] for rows in self.rows], dim=-1)

    def of_rows(self, rows: Sequence[slice]) -> "Kronecker":
        """The same for some of the outputs; both factors are shared."""
        return Kronecker(self.first, self.second, self.scale, rows)

    def matrix(self) -> Tensor:
        first = self.first.float().reshape(*self.first.shape, *[1] * (self.second.dim() - 2))
        product = torch.kron(first, self.second.float())
        return self.scale * torch.cat([product[rows] for rows in self.rows])


class Decomposed(Update):
    """DoRA (Liu et al. 2024): W + M with the lengths of its rows, or of its columns, given.

    gain: float32, the given lengths by those of W + M: (out,) or, by_inputs, (in,).
    """

    def __init__(self, inner: Update, gain: Tensor, *, by_inputs: bool) -> None:
        super().__init__()
        self.inner = inner
        self.gain = _parameter(gain)
        self.by_inputs = by_inputs

    def forward(self, x: Tensor, layer: Layer, own: Own) -> Tensor:
        """(W + M) x with its gain, less W x."""
        gain = self.gain[:, None, None] if isinstance(layer, nn.Conv2d) else self.gain
        if self.by_inputs:
            more = _without_bias(layer, layer.forward((x * (gain - 1)).to(x.dtype)))
            inner = self.inner.forward((x * gain).to(x.dtype), layer, own)
            return more + self.inner.scale * inner
        plain, inner = _without_bias(layer, own()), self.inner.forward(x, layer, own)
        return (gain - 1) * plain + gain * self.inner.scale * inner

    def matrix(self) -> Tensor:
        raise NotImplementedError("it depends on the layer's own weight")


def gain_of(magnitude: Tensor, weight: Tensor, *, by_inputs: bool) -> Tensor:
    """How much longer `magnitude` (N,) wants the rows or columns of `weight` (out, in, ...)."""
    dims = [dim for dim in range(weight.dim()) if dim != int(by_inputs)]
    lengths: Tensor = torch.linalg.vector_norm(weight.float(), dim=dims)
    return magnitude.float().to(weight.device) / lengths


def _through(layer: Layer, x: Tensor, weight: Tensor) -> Tensor:
    """x through a layer of the same kind with another weight and without a bias."""
    if isinstance(layer, nn.Conv2d):
        stride, padding, dilation = layer.stride, layer.padding, layer.dilation
        return functional.conv2d(x, weight, None, stride, padding, dilation)
    return functional.linear(x, weight)


def _without_bias(layer: Layer, output: Tensor) -> Tensor:
    if layer.bias is None:
        return output
    return output - (layer.bias[:, None, None] if isinstance(layer, nn.Conv2d) else layer.bias)


def _rows(parameter: nn.Parameter, rows: Sequence[slice]) -> nn.Parameter:
    """Some rows of one; all of them are it itself."""
    if tuple(rows) == (slice(None),):
        return parameter
    return nn.Parameter(torch.cat([parameter[one] for one in rows]), requires_grad=False)


def _parameter(tensor: Tensor) -> nn.Parameter:
    """As a module holds it; what is one already stays itself, and may be shared."""
    return tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor)
