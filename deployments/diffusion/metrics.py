"""Every metric of the room by its name, and where the engine's state tells its value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. name: as exported, with its unit. field: of EngineState; one that holds a number
    for each name of something is told by that name, under the tag `by`.
    """

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    help: str
    field: str
    by: str | None = None

    def values(self, state: Mapping[str, Any]) -> dict[str | None, float]:
        """Its values by tag; the tag is None where there is none. No value is known yet: empty."""
        value = state[self.field]
        if value is None:
            return {}
        return dict(value) if self.by else {None: float(value)}


METRICS = (
    Metric("signboard_forwards_total", "counter", "forwards", "Transformer calls.", "forwards"),
    Metric(
        "signboard_shared_forwards_total",
        "counter",
        "forwards",
        "Transformer calls with pictures of more than one request.",
        "shared_forwards",
    ),
    Metric("signboard_rows_total", "counter", "rows", "Pictures stepped, summed.", "rows"),
    Metric(
        "signboard_decodes_beside_total",
        "counter",
        "pictures",
        "Pictures decoded on a CPU while others were stepped.",
        "decodes_beside",
    ),
    Metric("signboard_encodes_total", "counter", "prompts", "Prompts encoded.", "encodes"),
    Metric(
        "signboard_encode_hits_total",
        "counter",
        "prompts",
        "Prompts whose embedding was still there.",
        "encode_hits",
    ),
    Metric("signboard_waiting", "gauge", "pictures", "Pictures that wait for a place.", "waiting"),
    Metric("signboard_running", "gauge", "pictures", "Pictures being stepped.", "running"),
    Metric("signboard_busy_seconds", "gauge", "s", "Device work on its way, predicted.", "busy_s"),
    Metric(
        "signboard_idle_seconds_total",
        "counter",
        "s",
        "That the device has waited for work.",
        "idle_s",
    ),
    Metric("signboard_step_milliseconds", "gauge", "ms", "Running mean of a forward.", "step_ms"),
    Metric(
        "signboard_heartbeat_age_seconds",
        "gauge",
        "s",
        "Since the device thread last finished a piece of work.",
        "beat_age_s",
    ),
    Metric("signboard_held_bytes", "gauge", "bytes", "Weights, wherever they lie.", "held_bytes"),
    Metric(
        "signboard_device_bytes",
        "gauge",
        "bytes",
        "Weights that stay on the device.",
        "device_bytes",
    ),
    Metric(
        "signboard_added_styles_bytes",
        "gauge",
        "bytes",
        "Of the styles that were added while it runs.",
        "added_styles_bytes",
    ),
    Metric(
        "signboard_recoveries_total",
        "counter",
        "uses",
        "Rungs used when the device's memory did not suffice.",
        "rungs",
        by="rung",
    ),
    Metric(
        "signboard_loads_failed_total",
        "counter",
        "loads",
        "Loads that did not end in a ready model.",
        "loads_failed",
    ),
    Metric(
        "signboard_generations_failed_total",
        "counter",
        "requests",
        "Requests on which the model failed: it raised, or drew no numbers.",
        "failures",
        by="code",
    ),
)
