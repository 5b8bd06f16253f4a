"""Runs that end when asked: on SIGTERM, or when a file named `stop` lies in their folder."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

import torch

RUN = Path(__file__).parents[1] / "run2"
THREADS = 2


class Ending:
    """Whether the run should save and end. `torch` is held to THREADS threads."""

    def __init__(self, folder: Path) -> None:
        self.stop_file = folder / "stop"
        self.asked = False
        torch.set_num_threads(THREADS)
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def __bool__(self) -> bool:
        return self.asked or self.stop_file.exists()
