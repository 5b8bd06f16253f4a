"""Which bytes weights take, and which live tensors repeat them: each storage counted once."""

import gc
import threading
import time
from collections.abc import Callable, Iterable

import torch
from torch._subclasses.fake_tensor import FakeTensor

GOOD_S = 60.0


def unique_storages(tensors: Iterable[torch.Tensor]) -> dict[int, torch.UntypedStorage]:
    """Storages by address, each once however many tensors view it."""
    storages = (tensor.untyped_storage() for tensor in tensors)
    return {storage.data_ptr(): storage for storage in storages}


def live_storage_bytes() -> int:
    """Bytes of every tensor storage alive in this process."""
    return sum(t.untyped_storage().nbytes() for t in _live_tensors().values())


def held_twice_bytes(weights: Iterable[torch.Tensor]) -> int:
    """Bytes of live tensors in this process that repeat one of the weights, value by value.

    Walks every live object: for audits, not for the loop.
    """
    weights = list(weights)
    own = unique_storages(weights)
    by_size: dict[int, list[torch.Tensor]] = {}
    for tensor in weights:
        by_size.setdefault(tensor.untyped_storage().nbytes(), []).append(tensor)
    twice = 0
    for key, other in _live_tensors().items():
        if key in own:
            continue
        twins = by_size.get(other.untyped_storage().nbytes(), [])
        if any(_same_values(other, twin) for twin in twins):
            twice += other.untyped_storage().nbytes()
    return twice


class Audit:
    """An audit for whoever asks, as often as they like: what one walk found is good for `good_s`
    seconds, and whoever asks during a walk waits for it. Any thread."""

    def __init__(self, walk: Callable[[], int], good_s: float = GOOD_S) -> None:
        self._walk = walk
        self._good_s = good_s
        self._lock = threading.Lock()
        self._found = 0
        self._good_until = float("-inf")

    def found_bytes(self) -> int:
        """By the last walk, or by one that is made now."""
        with self._lock:
            if time.monotonic() >= self._good_until:
                self._found = self._walk()
                self._good_until = time.monotonic() + self._good_s
            return self._found


def _live_tensors() -> dict[int, torch.Tensor]:
    """By the address of their storage; those that a compiler keeps as shapes alone have none."""
    gc.collect()
    every = (o for o in gc.get_objects() if issubclass(type(o), torch.Tensor))
    tensors = [t for t in every if not isinstance(t, FakeTensor) and t.device.type != "meta"]
    return {t.untyped_storage().data_ptr(): t for t in tensors if t.untyped_storage().nbytes()}


def _same_values(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and a.numel() == b.numel() and torch.equal(a.flatten(), b.flatten())
