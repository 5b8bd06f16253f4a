"""Importing the model's libraries, which is most of a start, in the shortest time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def in_one_go() -> Iterator[None]:
    """Import in the block: nothing looks for garbage meanwhile, nor ever in what is there then.

    Modules stay: a search through their hundreds of thousands of objects finds nothing, again and
    again while they are imported, and later whenever garbage is collected between requests.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
