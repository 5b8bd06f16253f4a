"""Clients that keep asking while something happens to the application, and what they were told."""

import itertools
import threading
import time
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Self

import httpx
import psutil

SIZE = {"prompt": "a red car on a cyan background", "size": "256x256", "num_inference_steps": 4}
ANSWER_S = 240  # longer than any of the application's own waits on a busy machine


class Crowd:
    """So many clients, each of which asks for picture after picture, from the block's start to end.

    told: how often which status came; "refused" is a connection that there was not, or that broke;
    "503 in time" one that says when to come again.
    """

    def __init__(self, url: str, clients: int = 4) -> None:
        self.told: Counter[str] = Counter()
        self.last_trouble: float | None = None
        """When the last answer came that was not 200, by `time.monotonic`."""
        self._url = url
        self._seeds = itertools.count(time.time_ns())
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def drawn(self) -> int:
        """Pictures so far."""
        return self.told["200"]

    def _ask_on(self) -> None:
        with httpx.Client(base_url=self._url, timeout=ANSWER_S) as client:
            while not self._over.is_set():
                told = self._ask(client)
                with self._lock:
                    self.told[told] += 1
                    if told != "200":
                        self.last_trouble = time.monotonic()
                if told != "200":
                    self._over.wait(0.05)

    def _ask(self, client: httpx.Client) -> str:
        seed = next(self._seeds)
        body = {**SIZE, "seed": seed, "stream": seed % 3 == 0}
        try:
            answer = client.post("/v1/images/generations", json=body)
        except httpx.TransportError:
            return "refused"
        if answer.status_code == 503 and "retry-after" in answer.headers:
            return "503 in time"
        if answer.status_code == 200 and body["stream"] and "completed" not in answer.text:
            return f"unfinished: {answer.text[-300:]}"
        return str(answer.status_code) if answer.status_code == 200 else answer.text


def processes(title: str) -> dict[int, psutil.Process]:
    """Those of this cluster that Ray calls so, by id."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            said = process.cmdline()  # none of one that has just ended
            if process.name().startswith("ray::") and said and title in said[0]:
                found[process.pid] = process
    return found
