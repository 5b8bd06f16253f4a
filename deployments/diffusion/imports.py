"""Importing the model's libraries, which is most of a start, in the shortest time."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


def yield_while_waiting() -> None:
    """Threads of a CPU forward that wait for one another give their core away; before torch loads.

    libgomp's default is to spin, which is quickest alone; but on a server the thread waited for may
    be without a core just because others spin. What the environment says already holds.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "0")


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
