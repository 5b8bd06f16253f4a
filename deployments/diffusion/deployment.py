"""The diffusion room as a Ray Serve deployment: an async face for the engine, nothing more."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import serve
from ray.serve.metrics import Counter, Gauge
from ray.serve.request_router import FIFOMixin, PendingRequest, RequestRouter, RunningReplica

from deployments.diffusion.metrics import METRICS, Metric
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import NO_HURRY, Event, GenerationParams, Terms
from deployments.diffusion.start import LOAD_LIMIT_S, StartTimes, describe, in_one_go
from deployments.handover import Drawn, Given

if TYPE_CHECKING:
    from deployments.diffusion.families import LoadFamily

log = logging.getLogger("ray.serve")

SERVES = "serves"


class Meter:
    """One metric as Ray exports it, under the name ray_<name>."""

    def __init__(self, metric: Metric) -> None:
        keys = (metric.by,) if metric.by else None
        kind = Counter if metric.kind == "counter" else Gauge
        self._meter = kind(metric.name, description=metric.help, tag_keys=keys)
        self._by = metric.by
        self._before: dict[str | None, float] = {}

    def report(self, values: dict[str | None, float]) -> None:
        """Tell the values; of a counter, what was added since the last time."""
        for tag, value in values.items():
            tags = {self._by: tag} if self._by and tag else {}
            if isinstance(self._meter, Gauge):
                self._meter.set(value, tags)
            elif value > self._before.get(tag, 0):
                self._meter.inc(value - self._before.get(tag, 0), tags)
            self._before[tag] = value


class ServingFirst(FIFOMixin, RequestRouter):
    """Two replicas by chance, of which Serve takes the less busy one, as it does by itself; but of
    those that do not serve only where none does.
    """

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """The candidates of one request."""
        serving = [one for one in candidate_replicas if one.routing_stats.get(SERVES)]
        among = serving or candidate_replicas  # what has just joined has told nothing yet
        return [random.sample(among, min(2, len(among)))]


@serve.deployment(
    request_router_config={
        "request_router_class": ServingFirst,
        "request_routing_stats_period_s": 1,
    }
)
class DiffusionDeployment:
    """One engine on one device.

    The replica joins the others once its model is ready, so that what is asked for waits for it, or
    is drawn by them. One whose model cannot be loaded joins as well, to tell why (`state`); it
    tries again, and is passed by meanwhile (`ServingFirst`).

    load: makes the profile's family; None does it as everywhere. The engine brings the model's
    libraries, so it is imported here, where it runs: whoever binds this class gets by without.
    added_styles: the folder of those that are added while it runs; None takes none.
    """

    def __init__(
        self,
        profile: DiffusionProfile,
        load: "LoadFamily | None" = None,
        added_styles: str | None = None,
    ) -> None:
        start = StartTimes()
        with in_one_go():
            from deployments.diffusion.engine import Callers, Engine
            from deployments.diffusion.families import load_family
            from deployments.diffusion.styles import StyleFolder
            from deployments.diffusion.weights import Audit
        start.end("imports")
        self._imports_s = start.seconds
        self._start_is_told = False
        self._profile = profile
        styles = None if added_styles is None else StyleFolder(added_styles)
        self._engine = Engine(profile, partial(load or load_family, profile), styles=styles)
        self._callers = Callers(self._engine)
        self._audit = Audit(self._engine.held_twice_bytes)
        self._meters = [(metric, Meter(metric)) for metric in METRICS]

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Change the engine's limits in place; what would change nothing is refused by name."""
        self._engine.retune(self._profile.limits_with(user_config))

    async def generate(
        self,
        request_id: str,
        params: GenerationParams,
        given: Given | None = None,
        terms: Terms = NO_HURRY,
    ) -> Drawn:
        """Draw the pictures of one request, once for all who ask for the same at a time.

        Cancelling the last of these calls stops it within a step. Raises RequestErrors, those of
        `Callers.draw`.
        """
        return await self._callers.draw(request_id, params, given, terms)

    async def generate_stream(
        self,
        request_id: str,
        params: GenerationParams,
        given: Given | None = None,
        terms: Terms = NO_HURRY,
    ) -> AsyncIterator[Event | Drawn]:
        """As `generate`, telling of the way: events as they happen, the pictures last."""
        told = self._callers.draw_told(request_id, params, given, terms)
        async with aclosing(told):  # a listener that leaves stops it now, not when it is collected
            async for event in told:
                yield event

    async def follow_styles(self) -> None:
        """Hold the added styles that the folder says, from now on. Raises RequestErrors."""
        await self._callers.follow_styles()

    async def weigh_style(self, path: str, settings: str | None) -> int:
        """Bytes that a file would take as a style. Raises InvalidValue for one that cannot be worn,
        and what `Engine.weigh_style` raises."""
        return await asyncio.wrap_future(self._engine.weigh_style(Path(path), settings))

    async def state(self) -> dict[str, Any]:
        """The engine's state, by the names of EngineState's fields; imports are a phase too."""
        state = asdict(self._engine.state())
        return {**state, "start_s": {**self._imports_s, **state["start_s"]}}

    async def held_twice_bytes(self) -> int:
        """Bytes of weights that this process holds a second time; an audit, slow now and then."""
        return await asyncio.to_thread(self._audit.found_bytes)

    async def check_health(self) -> None:
        """Wait for the first load to end; raise when only a new replica can help: the device thread
        crashed or is stuck.

        A model that cannot be loaded is no reason to restart; `state` names what is missing. What
        is measured is reported here, once in a health check's period.
        """
        with suppress(TimeoutError):  # Serve's first check ends its start
            settled = asyncio.shield(asyncio.wrap_future(self._engine.settled))
            await asyncio.wait_for(settled, LOAD_LIMIT_S)
        state = await self.state()
        for metric, meter in self._meters:
            meter.report(metric.values(state))
        if state["phase"] == "ready" and not self._start_is_told:
            self._start_is_told = True
            log.info("the model was ready after %s", describe(state["start_s"]))
        fault = self._engine.fault()
        if fault:
            self._engine.give_up(fault)
            raise RuntimeError(fault)

    async def record_routing_stats(self) -> dict[str, Any]:
        """What `ServingFirst` goes by."""
        return {SERVES: self._engine.serves}

    def __del__(self) -> None:
        self._engine.close()
