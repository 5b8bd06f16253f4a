"""What comes of a piece of device work: its result, or its error without the tensors it held.

Whatever is tried again is tried outside of `except`: a traceback keeps the tensors of its frames
alive, and with them the memory that may be missing.
"""

from collections.abc import Callable
from typing import TypeVar

import torch

OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
"""How allocators that raise a plain RuntimeError say it."""

T = TypeVar("T")


def attempt(work: Callable[[], T]) -> T | Exception:
    """What `work` returns, or what it raises, with nothing of its frames kept alive."""
    try:
        return work()
    except Exception as error:
        return without_frames(error)


def is_out_of_memory(outcome: object) -> bool:
    """Whether the outcome of an attempt is that memory did not suffice, on any device."""
    if isinstance(outcome, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(outcome, RuntimeError) and any(
        words in str(outcome) for words in OUT_OF_MEMORY
    )


def is_device_error(outcome: object) -> bool:
    """Whether the outcome of an attempt is that the device has failed, not the work.

    After an illegal access, an Xid or an ECC error every later call of the process fails as well.
    Libraries on the device (cuBLAS, cuDNN) raise plain RuntimeErrors then, which tell nothing.
    """
    return isinstance(outcome, torch.AcceleratorError) and not is_out_of_memory(outcome)


def without_frames(error: Exception) -> Exception:
    """The error without its traceback, which would keep tensors alive."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
