"""Which cores a measurement may use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def cores(number: int) -> Iterator[None]:
    """On so many cores, OpenCV without threads of its own; as before when the block ends."""
    allowed, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, sorted(allowed)[:number])
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        cv2.setNumThreads(threads)
