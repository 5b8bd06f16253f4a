"""What the engine says of itself: its phase, its queue, its counters, its heartbeat."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from deployments.diffusion.memory import MemoryPlan, Recovery
from deployments.diffusion.request import Row, smooth
from deployments.diffusion.styles import HeldStyles
from deployments.diffusion.weights import SharedComponents

Phase = Literal["loading", "warming", "ready", "sleeping", "failed", "draining"]
COMING: tuple[Phase, ...] = ("loading", "warming")
SERVING: tuple[Phase, ...] = ("ready", "sleeping")  # requests are taken; a first one wakes it

NEXT: Mapping[Phase, tuple[Phase, ...]] = {
    "loading": ("warming", "failed", "draining"),
    "warming": ("ready", "failed", "draining"),
    "ready": ("sleeping", "failed", "draining"),
    "sleeping": ("ready", "failed", "draining"),
    "failed": ("loading", "draining"),
    "draining": (),
}
"""The phases that may follow on each. What has failed serves again only by loading anew, which no
engine does that has served."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """The engine's phase and its queue, in pictures.

    reason: of a failed phase, why the model is loaded again, or why it cannot sleep. busy_s:
    seconds of device work on their way, predicted.
    """

    phase: Phase
    reason: str | None
    running: int
    decoding: int
    waiting: int
    max_running: int
    max_waiting: int
    busy_s: float


@dataclass(frozen=True, slots=True)
class EngineState(QueueState):
    """A snapshot of all that the engine tells.

    forwards: transformer calls so far; rows: pictures stepped in them, summed. shared_forwards:
    those with rows of more than one request. decodes_beside: pictures decoded on a CPU while
    others were stepped. encodes: prompts encoded; encode_hits: those whose
    embedding was still there. held_bytes: of the weights, wherever they lie; device_bytes: of
    those that stay on the device, by `residency`. added_styles: bytes of the styles that were
    added and are held, by name; added_styles_bytes: of all of them, those included that were
    removed but for rows on their way. plan: of the memory, where it was planned.
    rungs: how often each step of the recovery was taken when memory did not suffice.
    reliefs_left_s: of those that last, the seconds until it is undone, if memory suffices until
    then; 0 where it is not in force. loads_failed: loads that did not end in a ready model.
    failures: requests on which the model failed, by code: it raised (generation_failed), or drew no
    numbers (not_finite). start_s: seconds of each phase of the start, once it is over: plan,
    weights, placement, warm_up. idle_s: that the device thread has waited for work.
    step_ms: running mean of a forward. beat_age_s: since the device thread was last between two
    pieces of work; an idle one wakes every second.
    """

    forwards: int
    shared_forwards: int
    decodes_beside: int
    rows: int
    encodes: int
    encode_hits: int
    held_bytes: int
    added_styles: dict[str, int]
    added_styles_bytes: int
    device_bytes: int
    residency: str | None
    plan: MemoryPlan | None
    rungs: dict[str, int]
    reliefs_left_s: dict[str, float]
    loads_failed: int
    failures: dict[str, int]
    start_s: dict[str, float]
    device: str | None
    dtype: str | None
    idle_s: float
    step_ms: float | None
    beat_age_s: float


class Gauges:
    """Counters that the device thread alone writes; readers may see them one step late."""

    def __init__(self) -> None:
        self.forwards = 0
        self.shared_forwards = 0
        self.decodes_beside = 0
        self.rows = 0
        self.loads_failed = 0
        self.failures = Counter({"generation_failed": 0, "not_finite": 0})
        self.start_s: dict[str, float] = {}
        self.idle_s = 0.0
        self._recovery: Recovery | None = None
        self._plan: MemoryPlan | None = None
        self._styles: HeldStyles | None = None
        self._held_bytes = 0
        self._device: str | None = None
        self._dtype: str | None = None
        self._step_s: float | None = None
        self._beat = time.monotonic()

    def hold(
        self,
        components: SharedComponents,
        recovery: Recovery,
        plan: MemoryPlan | None,
        styles: HeldStyles | None,
    ) -> None:
        """Note what the loaded components are and weigh, where they lie, and by which plan."""
        self.weigh(components, styles)
        self._recovery = recovery
        self._plan = plan
        self._device = str(components.device)
        self._dtype = str(components.dtype).removeprefix("torch.")

    def weigh(self, components: SharedComponents, styles: HeldStyles | None) -> None:
        """Note what they weigh, which changes with the styles that are added."""
        self._held_bytes = components.held_bytes
        self._styles = styles

    def release(self) -> None:
        """Forget components that could not be used."""
        self._recovery = self._plan = self._styles = None
        self._held_bytes = 0

    def stepped(self, rows: Sequence[Row]) -> None:
        """Count one forward over `rows`."""
        self.forwards += 1
        self.rows += len(rows)
        self.shared_forwards += len({id(row.request) for row in rows}) > 1

    def took(self, seconds: float) -> None:
        """Note how long a forward took."""
        self._step_s = smooth(self._step_s, seconds)

    def beat(self) -> None:
        """Note that a piece of work is done."""
        self._beat = time.monotonic()

    @property
    def beat_age_s(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._beat

    def read(self) -> dict[str, Any]:
        """The counters by the names of EngineState's fields."""
        recovery = self._recovery
        return {
            "forwards": self.forwards,
            "shared_forwards": self.shared_forwards,
            "decodes_beside": self.decodes_beside,
            "rows": self.rows,
            "held_bytes": self._held_bytes,
            "added_styles": dict(self._styles.by_name) if self._styles else {},
            "added_styles_bytes": self._styles.nbytes if self._styles else 0,
            "device_bytes": recovery.residency.device_bytes if recovery else 0,
            "residency": recovery.residency.strongest if recovery else None,
            "plan": self._plan,
            "rungs": dict(recovery.used) if recovery else {},
            "reliefs_left_s": recovery.reliefs_left_s if recovery else {},
            "loads_failed": self.loads_failed,
            "failures": dict(self.failures),
            "start_s": dict(self.start_s),
            "device": self._device,
            "dtype": self._dtype,
            "idle_s": self.idle_s,
            "step_ms": None if self._step_s is None else self._step_s * 1e3,
            "beat_age_s": self.beat_age_s,
        }
