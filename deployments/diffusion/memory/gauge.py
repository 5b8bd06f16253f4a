"""How much memory a piece of work takes at its peak, on top of what is held already."""

import weakref
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deployments.diffusion.memory.figures import Basis

aten = torch.ops.aten
READS_ONE_VALUE = (aten.item.default, aten.is_nonzero.default, aten._local_scalar_dense.default)
Result = TypeVar("Result")


class Gauge(Protocol):
    """Measures the peak of one piece of work after another."""

    basis: Basis

    def run(self, work: Callable[[], Result]) -> tuple[Result, int]:
        """What the work gives, and the bytes that it took at most; in inference mode."""
        ...


class ShapeGauge:
    """Counts the storages that live while work runs on meta tensors; nothing is computed.

    Attention is counted as kernels run it that never write the score matrix (flash, memory
    efficient). What other kernels take inside is not seen.
    """

    basis: Basis = "computed"

    def __init__(self, held: Iterable[torch.Tensor]) -> None:
        """held: the weights, which are no working memory."""
        self._held = frozenset(_storage_id(tensor) for tensor in held)

    def run(self, work: Callable[[], Result]) -> tuple[Result, int]:
        with torch.inference_mode(), _ShapeTracker(self._held) as tracker:
            result = work()
        return result, tracker.peak


class CudaGauge:
    """The allocator's own peak on a CUDA device."""

    basis: Basis = "measured"

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def run(self, work: Callable[[], Result]) -> tuple[Result, int]:
        with torch.inference_mode():
            work()  # the first run pays for what libraries keep
            torch.cuda.synchronize(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            before = torch.cuda.memory_allocated(self._device)
            result = work()
            torch.cuda.synchronize(self._device)
            return result, torch.cuda.max_memory_allocated(self._device) - before


class _ShapeTracker(TorchDispatchMode):
    def __init__(self, held: frozenset[int]) -> None:
        TorchDispatchMode.__init__(self)
        self.peak = 0
        self._held = held
        self._live: dict[int, int] = {}
        self._bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in READS_ONE_VALUE and args[0].is_meta:
            return 1  # masks are asked whether they hold for all tokens
        if func.overloadpacket is aten.to:  # inference mode hands it over whole
            with self:
                return func.decompose(*args, **kwargs)
        if func is aten._to_copy.default and args[0].is_meta and _goes_to_cpu(kwargs):
            return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        if func is aten.scaled_dot_product_attention.default:
            query, value = args[0], args[2]
            out = query.new_empty((*query.shape[:-1], value.shape[-1]))
        else:
            out = func(*args, **kwargs)
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                self._count(tensor)
        return out

    def _count(self, tensor: torch.Tensor) -> None:
        key = _storage_id(tensor)
        if key in self._held or key in self._live:
            return
        storage = tensor.untyped_storage()
        self._live[key] = storage.nbytes()
        self._bytes += storage.nbytes()
        self.peak = max(self.peak, self._bytes)
        weakref.finalize(storage, self._free, key)

    def _free(self, key: int) -> None:
        self._bytes -= self._live.pop(key)


def _storage_id(tensor: torch.Tensor) -> int:
    key: int = tensor.untyped_storage()._cdata
    return key


def _goes_to_cpu(kwargs: dict[str, Any]) -> bool:
    return kwargs.get("device") == torch.device("cpu")
