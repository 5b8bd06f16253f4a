"""Processes that set words, so that several adverts take several cores.

A third of the time that an advert takes is the interpreter's, which runs one thread at a time: two
threads took 0.7 of one's time for eight adverts (docs/performance.md). And a process that dies or
hangs costs the words that it was setting, not the picture.
"""

import logging
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import LifoQueue
from threading import Timer
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess import worker
from deployments.postprocess.design import Brand
from deployments.postprocess.finish import NO_BRANDS, finish_picture, finish_without_words
from deployments.postprocess.schema import Extension, Finished, Output, OverlaySpec
from deployments.postprocess.worker import Reply, SharedPicture

READY_WITHIN_S = 120.0
LIMIT_S = 60.0  # for one file; an A4 page at 300 dpi takes a second or two

log = logging.getLogger(__name__)


class WorkerLost(RuntimeError):
    """The process died, or took too long and was ended."""


class WorkerPool:
    """So many processes, each for one file at a time; for any threads, so many at once."""

    def __init__(self, number: int, own_fonts: str | None) -> None:
        """Return once all are ready. own_fonts: the folder of the user's fonts.

        Raises what `fonts.use_folder` and `engine.warm` raise, and WorkerLost.
        """
        workers = [_Worker(own_fonts) for _ in range(number)]
        self._free: LifoQueue[_Worker] = LifoQueue()  # who worked last has the warmest caches
        for one in workers:
            one.wait()
            self._free.put(one)

    def finish(
        self,
        picture: NDArray[np.uint8],
        spec: OverlaySpec | None,
        placement: str | None,
        output: Output,
        metadata: Mapping[str, str],
        brands: Mapping[str, Brand] = NO_BRANDS,
        *,
        images: Mapping[str, bytes] = MappingProxyType({}),
        extension: Extension = "auto",
        layout: int = 0,
    ) -> Finished:
        """As `finish_picture`; raises WorkerLost where a lost process may not cost the words.

        Without words there is nothing to win by a process: the file is made in this thread.
        """
        if spec is None:
            return finish_picture(
                picture, None, placement, output, metadata, extension=extension, layout=layout
            )
        one = self._free.get(timeout=LIMIT_S)
        try:
            return one.finish(
                picture,
                (spec, placement, output, dict(metadata), dict(brands)),
                {"images": dict(images), "extension": extension, "layout": layout},
            )
        except WorkerLost as error:
            if spec.on_problem == "fail":
                raise
            log.error("a picture goes out without its words: %s", error)
            return finish_without_words(
                picture, spec, placement, output, metadata, extension, layout
            )
        finally:
            self._free.put(one)


class _Worker:
    """This side of one process; for one thread at a time. The process ends with it."""

    def __init__(self, own_fonts: str | None) -> None:
        self._own_fonts = own_fonts
        self._picture = SharedPicture.new()
        weakref.finalize(self, self._picture.close)
        self._start()

    def _start(self) -> None:
        self._connection, theirs = Pipe()
        code = f"from {worker.__name__} import main; main()"
        descriptors = [theirs.fileno(), self._picture.descriptor]
        command = [sys.executable, "-c", code, *map(str, descriptors)]
        if self._own_fonts is not None:
            command.append(self._own_fonts)
        with theirs:
            self._process = subprocess.Popen(
                command,
                pass_fds=descriptors,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        self._end = weakref.finalize(self, _end, self._process, self._connection)
        self._is_ready = False

    def _replace(self) -> None:
        self._end()
        self._start()

    def wait(self) -> None:
        """Return once the process is ready. Raises what it raised instead, and WorkerLost."""
        if not self._is_ready:
            self._reply(READY_WITHIN_S)
            self._is_ready = True

    def finish(
        self,
        picture: NDArray[np.uint8],
        arguments: tuple[object, ...],
        named: dict[str, object],
    ) -> Finished:
        """What `finish_picture` makes of these; raises what it raises, and WorkerLost: then another
        process has taken the lost one's place. One that died idle costs but the wait for another.
        """
        if self._process.poll() is not None:
            log.error("a process that sets words died while it was idle")
            self._replace()
        try:
            self.wait()
            self._send((self._picture.write(picture), arguments, named))
            made = self._reply(LIMIT_S).made
        except WorkerLost:
            self._replace()
            raise
        assert made is not None  # it is None where there was an error, and when it became ready
        return made

    def _send(self, asked: object) -> None:
        try:
            with self._ended_after(LIMIT_S):
                self._connection.send(asked)
        except OSError as error:
            raise WorkerLost("the process that sets words has died, or did not listen") from error

    def _reply(self, within_s: float) -> Reply:
        """The next reply; what the process logged is logged here. Raises what the process raised,
        and WorkerLost."""
        try:
            if not self._connection.poll(within_s):
                raise WorkerLost(f"a process that sets words took more than {within_s:.0f} s")
            with self._ended_after(within_s):
                reply: Reply = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerLost("a process that sets words has died") from error
        for record in reply.said:
            logging.getLogger(record.name).handle(record)
        if reply.error is not None:
            raise reply.error
        return reply

    @contextmanager
    def _ended_after(self, seconds: float) -> Iterator[None]:
        """The process is ended if what is done with it takes longer, which then fails: neither
        writing to a pipe nor reading from it has a limit of its own."""
        timer = Timer(seconds, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _end(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    process.kill()
    process.wait()
