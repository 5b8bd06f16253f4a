"""A picture handed from one process to another in memory that both have."""

import math
import mmap
import os
import sys
import tempfile

import numpy as np
from numpy.typing import NDArray


class SharedPicture:
    """Memory for one picture at a time, which grows as it must. Each of two processes has such an
    object on the same file: who made it writes, while the other does not read.
    """

    def __init__(self, descriptor: int) -> None:
        """descriptor: of the file, which is this object's from now on."""
        self.descriptor = descriptor
        self._mapped: mmap.mmap | None = None

    @classmethod
    def new(cls) -> "SharedPicture":
        """On a file of its own, in memory on Linux, which goes with its last descriptor."""
        if sys.platform == "linux":
            return cls(os.memfd_create("signboard-picture"))
        with tempfile.TemporaryFile() as file:
            return cls(os.dup(file.fileno()))

    def write(self, picture: NDArray[np.uint8]) -> tuple[int, ...]:
        """Put a picture in; the shape to read it by."""
        if os.fstat(self.descriptor).st_size < picture.nbytes:
            os.ftruncate(self.descriptor, picture.nbytes)
        np.copyto(self.read(picture.shape), picture)
        return picture.shape

    def read(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """The picture of that shape, uint8: the memory itself, until the next one is written."""
        size = math.prod(shape)
        if self._mapped is None or len(self._mapped) < size:
            self._mapped = mmap.mmap(self.descriptor, size)
        return np.frombuffer(self._mapped, np.uint8, size).reshape(shape)

    def close(self) -> None:
        """Give the file up; what was read stays valid."""
        os.close(self.descriptor)
