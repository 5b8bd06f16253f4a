"""Loading a checkpoint's weights, and reading the same files from start to end."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.harness import Times, in_turn, timed
from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights import SharedComponents

CHUNK = 16 * 2**20


def files_of(folder: Path) -> list[Path]:
    """A checkpoint's files of weights; adapters of styles, which may lie beside it, are none."""
    return sorted(set(folder.glob("*/*.safetensors")) - set(folder.glob("styles/*")))


def loaded_and_read(
    source: ModelSource, rounds: int, dropped: bool, progress: Callable[[int, int], None]
) -> Times:
    """Seconds to `load` and to `read`, in turn.

    dropped: the page cache forgets the files before each. What is imported and made once in a
    process is not timed.
    """
    files = files_of(Path(source.source))

    def clock(way: Callable[[], object]) -> float:
        if dropped:
            drop(files)
        return timed(way)

    ways = {"read": lambda: read(files), "load": lambda: load(source)}
    return in_turn(ways, rounds, clock=clock, progress=progress)


def drop(files: Sequence[Path]) -> None:
    """Forget the files' pages, so that they are read from the disk."""
    for file in files:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(files: Sequence[Path]) -> None:
    """Read the files one after the other."""
    buffer = memoryview(bytearray(CHUNK))
    for file in files:
        with file.open("rb", buffering=0) as opened:
            while opened.readinto(buffer):
                pass


def load(source: ModelSource) -> None:
    """Load the components and touch every byte: mapped files are read only when touched."""
    for tensor in SharedComponents.load(source).tensors():
        touch(tensor)


def touch(tensor: torch.Tensor) -> None:
    """Add up all bytes, eight at a time where they can be."""
    data = tensor.view(-1).view(torch.uint8)
    (data if len(data) % 8 else data.view(torch.int64)).sum()
