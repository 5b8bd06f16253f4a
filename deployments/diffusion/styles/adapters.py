"""Adapters by name: each row of a forward wears its own mix of them, or none.

The weights they act on are never touched. While adapters are worn, a hook on each of their layers
adds what they add, for the rows that wear them. When none is, there is no hook, and the model runs
as if adapters did not exist. A compiled module does not notice hooks that come later: the layers
that adapters act on must not be compiled.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from deployments.diffusion.request import Mix
from deployments.diffusion.styles.updates import Decomposed, Layer, Update


class Adapter(nn.Module):
    """One adapter: an update for each layer that it acts on. The layers are no part of it.

    reads: whether it acts on what reads prompts.
    """

    def __init__(self, updates: Mapping[Layer, Update], *, reads: bool = False) -> None:
        super().__init__()
        self.layers = tuple(updates)
        self.updates = tuple(updates.values())
        self._held = nn.ModuleList(self.updates)
        self.reads = reads

    def placed(self, device: torch.device) -> "Adapter":
        """The same on a device; what updates share is shared there too."""
        there: dict[nn.Parameter, nn.Parameter] = {}
        for module in self.modules():
            for name, tensor in list(module.named_parameters(recurse=False)):
                if tensor not in there:
                    there[tensor] = nn.Parameter(tensor.to(device), requires_grad=False)
                setattr(module, name, there[tensor])
        return self

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return next(self.parameters()).device

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors, each counted once."""
        return sum(tensor.nbytes for tensor in self.parameters())


class _Piece(NamedTuple):
    """What is added to one layer: of which rows, how strongly."""

    rows: Tensor
    weight: float
    update: Update


class Adapters(nn.Module):
    """Adapters by name, on the layers of one model; for the thread that runs it alone."""

    def __init__(self) -> None:
        super().__init__()
        self._by_name: dict[str, Adapter] = {}
        self._all = nn.ModuleList()

    def add(self, name: str, adapter: Adapter) -> None:
        """Keep an adapter, whose tensors are where its layers' inputs are and in their dtype."""
        self._by_name[name] = adapter
        self._all = nn.ModuleList(self._by_name.values())

    def remove(self, name: str) -> None:
        """Let go of an adapter that no row wears."""
        del self._by_name[name]
        self._all = nn.ModuleList(self._by_name.values())

    def has(self, mix: Mix) -> bool:
        """Whether all that a mix wears is here."""
        return all(worn.adapter in self._by_name for worn in mix)

    def reading(self, mix: Mix) -> Mix:
        """What of a mix has a say in how a prompt is read."""
        return tuple(worn for worn in mix if self._by_name[worn.adapter].reads)

    @contextmanager
    def worn(
        self, rows: Sequence[Mix], spans: Mapping[nn.Module, Sequence[int]] | None = None
    ) -> Iterator[None]:
        """Within it, row i of every layer's input (rows, ..., in) wears the adapters of rows[i].

        spans: of layers whose inputs are (tokens, in), those of all rows one after another: how
        many are each row's. What a row wears is added by name, whatever others wear.
        """
        pieces: dict[Layer, list[_Piece]] = defaultdict(list)
        every = {worn for mix in rows for worn in mix}
        for worn in sorted(every, key=lambda worn: (worn.name, worn.weight, worn.adapter)):
            adapter = self._by_name[worn.adapter]
            wearers = [i for i, mix in enumerate(rows) if worn in mix]
            places = torch.tensor(wearers, device=adapter.device)
            for layer, update in zip(adapter.layers, adapter.updates, strict=True):
                span = (spans or {}).get(layer)
                own = places if span is None else _tokens(wearers, span).to(places.device)
                pieces[layer].append(_Piece(own, worn.weight, update))
        handles = []
        try:
            for layer, added in pieces.items():
                handles.append(layer.register_forward_hook(_addition(added)))
            yield
        finally:
            for handle in handles:
                handle.remove()


def _tokens(wearers: Sequence[int], span: Sequence[int]) -> Tensor:
    """The places of some rows' tokens among all rows' tokens."""
    bounds = list(pairwise(accumulate(span, initial=0)))
    return torch.cat([torch.arange(*bounds[row]) for row in wearers])


def _addition(pieces: Sequence[_Piece]) -> Callable[[Any, Any, Tensor], None]:
    """A forward hook that adds the pieces to some rows of a layer's outputs, in place."""
    needs_own = any(isinstance(piece.update, Decomposed) for piece in pieces)

    def add(layer: Layer, inputs: Any, output: Tensor) -> None:
        plain = output.clone() if needs_own else output
        for rows, weight, update in pieces:
            x = inputs[0].index_select(0, rows)
            added = update.forward(x, layer, partial(plain.index_select, 0, rows))
            output.index_add_(0, rows, (added * (weight * update.scale)).to(output.dtype))

    return add
