"""A process that makes adverts for another, which starts it, and the memory that both share."""

import logging
import math
import mmap
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from pickle import PicklingError
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.finish import finish_picture
from deployments.postprocess.schema import Finished
from deployments.postprocess.typesetting import engine, fonts, languages

_LOOKS_EVERY_S = 1.0  # whether the parent is there


class Reply(NamedTuple):
    """made: the advert, None where there is but to say that it is ready. error: what was
    raised in its place. said: what was logged meanwhile, for the other process to log."""

    made: Finished | None
    error: Exception | None
    said: list[logging.LogRecord]


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


def main() -> None:
    """Answer the process at the other end of a `multiprocessing.Pipe` until it closes it.

    The command's arguments are the descriptors of the pipe and of a SharedPicture and, if there is
    one, the folder of the user's own fonts. Each answer is a Reply: one when it is ready, and one
    to each shape of a picture with the other arguments of `finish_picture`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is for the other process
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    cv2.setNumThreads(1)  # there are as many processes as may work at once
    connection, picture = Connection(int(sys.argv[1])), SharedPicture(int(sys.argv[2]))
    own_fonts = sys.argv[3] if len(sys.argv) > 3 else None
    records: SimpleQueue[logging.LogRecord] = SimpleQueue()
    logging.getLogger().addHandler(QueueHandler(records))  # which makes records fit to be sent

    def reply(work: Callable[[], Finished | None]) -> bool:
        """Whether it went well."""
        made = error = None
        try:
            made = work()
        except Exception as raised:
            error = raised
        said = [records.get() for _ in range(records.qsize())]
        try:
            connection.send(Reply(made, error, said))
        except (PicklingError, TypeError, AttributeError):  # the ways in which pickle says no
            connection.send(Reply(None, RuntimeError(repr(error)), said))
        return error is None

    ready = reply(partial(_prepare, own_fonts))
    while ready:
        try:
            shape, arguments, named = connection.recv()
        except (EOFError, OSError):
            return
        reply(partial(finish_picture, picture.read(shape), *arguments, **named))


def _end_with(parent: int) -> None:
    """End this process once its parent is gone, also in the midst of its work."""
    while os.getppid() == parent:
        time.sleep(_LOOKS_EVERY_S)
    os._exit(1)


def _prepare(own_fonts: str | None) -> None:
    fonts.use_folder(own_fonts)
    engine.warm()
    languages.warm()
