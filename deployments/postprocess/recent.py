"""Decoded pictures that were used last, so that words can be set on them anew without decoding."""

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class Recent:
    """Pixels by name, the ones used longest ago dropped beyond `max_bytes`. For any thread.

    A name stands for the same pixels always. They are read-only.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()  # of both below
        self._pixels: OrderedDict[str, Pixels] = OrderedDict()
        self._bytes = 0

    def get(self, name: str, make: Callable[[], Pixels]) -> Pixels:
        """The pixels called `name`; made where they are not at hand. Two may make them at once."""
        with self._lock:
            if name in self._pixels:
                self._pixels.move_to_end(name)
                return self._pixels[name]
        pixels = make()
        pixels.setflags(write=False)
        with self._lock:
            if name not in self._pixels:
                self._pixels[name] = pixels
                self._bytes += pixels.nbytes
            while self._bytes > self._max_bytes:
                self._bytes -= self._pixels.popitem(last=False)[1].nbytes
        return pixels
