"""Low-rank adapters (Hu et al. 2021): each row of a forward wears its own, or none.

The weights they act on are never touched. While an adapter is worn, a hook adds up(down(x)) to the
outputs of its layers, for the rows that wear it. When none is, there is no hook, and the model runs
as if adapters did not exist. A compiled module does not notice hooks that come later: the layers
that adapters act on must not be compiled.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


def linear_layers(module: nn.Module, blocks: tuple[str, ...]) -> dict[str, nn.Linear]:
    """Every linear layer of a module whose name has one of `blocks` in it, by its name."""
    return {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear) and any(block in f".{name}" for block in blocks)
    }


class Update(NamedTuple):
    """What an adapter adds to one layer's weight, up @ down: (out, rank) @ (rank, in)."""

    down: Tensor
    up: Tensor


class Adapter(nn.Module):
    """One adapter: an update for each layer that it acts on. The layers are no part of it."""

    def __init__(self, updates: Mapping[nn.Linear, Update]) -> None:
        super().__init__()
        self.layers = tuple(updates)
        self.downs = nn.ParameterList(update.down for update in updates.values())
        self.ups = nn.ParameterList(update.up for update in updates.values())


class Adapters(nn.Module):
    """Adapters by name, on the layers of one model; for the thread that runs it alone."""

    def __init__(self) -> None:
        super().__init__()
        self._by_name: dict[str, Adapter] = {}
        self._all = nn.ModuleList()

    def add(self, name: str, adapter: Adapter) -> None:
        """Keep an adapter, whose tensors are where its layers' inputs are and in their dtype."""
        self._by_name[name] = adapter
        self._all.append(adapter)

    @contextmanager
    def worn(self, rows: Sequence[str | None]) -> Iterator[None]:
        """Within it, row i of every layer's input (rows, ..., in) wears the adapter rows[i]."""
        handles = []
        try:
            for name in dict.fromkeys(row for row in rows if row is not None):
                adapter = self._by_name[name]
                wearers = torch.tensor(
                    [i for i, row in enumerate(rows) if row == name], device=adapter.downs[0].device
                )
                for layer, down, up in zip(adapter.layers, adapter.downs, adapter.ups, strict=True):
                    addition = _addition(wearers, down, up)
                    handles.append(layer.register_forward_hook(addition))
            yield
        finally:
            for handle in handles:
                handle.remove()


def _addition(rows: Tensor, down: Tensor, up: Tensor) -> Callable[[nn.Module, Any, Tensor], None]:
    """A forward hook that adds up(down(x)) to the outputs of some rows, in place."""

    def add(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        low = nn.functional.linear(inputs[0].index_select(0, rows), down)
        output.index_add_(0, rows, nn.functional.linear(low, up))

    return add
