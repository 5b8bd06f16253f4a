"""The engine as everyone but the device thread sees it: submit, cancel, state, health, end.

`Engine` starts the one thread that owns the device, which loads the model, then runs `Loop`. What
callers and that thread share is `Admission`'s.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from copy import copy
from dataclasses import asdict
from pathlib import Path

import torch

from deployments.diffusion.engine.admission import Admission
from deployments.diffusion.engine.clock import DeviceClock
from deployments.diffusion.engine.decoder import Decoder, Picture
from deployments.diffusion.engine.health import EngineDead
from deployments.diffusion.engine.lane import Lane
from deployments.diffusion.engine.loading import load_until_ready, warm_up
from deployments.diffusion.engine.loop import Loaded, Loop
from deployments.diffusion.engine.preparation import EmbeddingCache, Preparation, require_held
from deployments.diffusion.engine.preview import LatentProjection
from deployments.diffusion.engine.state import SERVING, EngineState, Gauges
from deployments.diffusion.families import Family, plan_passes
from deployments.diffusion.memory import Recovery, Residency, hold_to, start_plan
from deployments.diffusion.profile import DiffusionProfile, EngineLimits, Relief
from deployments.diffusion.request import NO_HURRY, GenerationParams, Request, Sink, Terms, Work
from deployments.diffusion.start import StartTimes
from deployments.diffusion.styles import HeldStyles, StyleFolder
from deployments.diffusion.weights import held_twice_bytes
from deployments.errors import NotReady, ReplicaDown
from deployments.handover import Drawn, Given

log = logging.getLogger(__name__)

READY_POLL_S = 0.02
STALL_FACTOR = 10  # a piece of work that takes so many times what was predicted is stuck


class Engine:
    """The only owner of the device.

    Any thread calls its methods. `_loaded`, `_lane`, `_embeddings` and `_gauges` are the device
    thread's; others may read them, one step late.
    """

    def __init__(
        self,
        profile: DiffusionProfile,
        load: Callable[[Collection[Relief]], Family],
        reliefs: Collection[Relief] | None = None,
        styles: StyleFolder | None = None,
    ) -> None:
        """Begin to load. reliefs: where the weights are to lie; None lets the memory plan say.
        styles: those that are added while it runs.

        load: reads the weights, and is told the reliefs, so that it need not bring to the device
        what will not stay there.
        """
        self.profile = profile
        self._load = load
        self._reliefs = reliefs
        self._styles = styles
        self._crash: str | None = None
        self._loaded: Loaded | None = None
        self._admission = Admission(profile)
        self._embeddings = EmbeddingCache(profile.engine.embedding_cache_bytes)
        self._gauges = Gauges()
        self._lane: Lane[Picture] = Lane(threads=1)
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)
        self._thread.start()

    # Any thread ------------------------------------------------------------------------------

    def submit(
        self,
        request_id: str,
        params: GenerationParams,
        given: Given | None = None,
        terms: Terms = NO_HURRY,
        sink: Sink | None = None,
    ) -> Future[Drawn]:
        """Queue a request; `sink` is told of its events, on the device thread.

        Raises InvalidValue for what the profile cannot serve, ReplicaDown outside the ready phase
        and for an added style that is not held, Overloaded when the queue is full or the deadline
        cannot be met. The future fails with a RequestError, or with CancelledError.
        """
        params = params if given is None else params.bringing(given)
        params.check(self.profile)
        terms.check()
        self._admission.require_ready()
        require_held(self.holds(params))
        family = self._require_loaded().family
        family.check(params)
        passes = plan_passes(params, self.profile, family)
        mix = params.mix(self.profile.styles)
        return self._admission.submit(Request(request_id, params, given, terms, passes, mix, sink))

    def cancel(self, request_id: str) -> None:
        """Ask a request to stop: at most one more step of it begins. An unknown id is done."""
        self._admission.cancel(request_id)

    def holds(self, params: GenerationParams) -> bool:
        """Whether the added styles that a request asks for are held; one that was added a moment
        ago, or to another replica, is held after `follow_styles`."""
        styles = self._loaded and self._loaded.styles
        return not params.added_styles or bool(styles and styles.holds(params.added_styles))

    def follow_styles(self) -> Future[None]:
        """Hold the added styles that the folder says, from some next step on.

        Raises ReplicaDown outside the ready phase, Overloaded; the future fails with ReplicaDown.
        """
        return self._admission.send(lambda: self._added.follow(self._admission.worn()))

    def weigh_style(self, path: Path, settings: str | None) -> Future[int]:
        """Bytes that a file would take as a style of this model. settings: peft's, as text.

        Raises as `follow_styles`; the future fails with InvalidValue for one that cannot be worn.
        """
        return self._admission.send(lambda: self._added.weigh(path, settings))

    def retune(self, limits: EngineLimits) -> None:
        """Change the queue's bounds and the token budget; what is admitted already stays."""
        self._admission.retune(limits)

    def state(self) -> EngineState:
        """What is held, what runs, what waits."""
        return EngineState(
            **asdict(self._admission.queue()),
            encodes=self._embeddings.misses,
            encode_hits=self._embeddings.hits,
            **self._gauges.read(),
        )

    @property
    def settled(self) -> Future[None]:
        """Done once the first load has ended: the engine is ready, or its state tells why not."""
        return self._admission.settled

    @property
    def serves(self) -> bool:
        """Whether requests are taken."""
        return self._admission.queue().phase in SERVING

    def wait_until_ready(self, timeout_s: float) -> None:
        """Return once requests are taken.

        Raises NotReady, saying why, where the model cannot be loaded or that takes longer.
        """
        deadline = time.monotonic() + timeout_s
        while (state := self.state()).phase != "ready":
            if state.phase == "failed" or time.monotonic() > deadline:
                reason = state.reason or f"the model was not ready within {timeout_s:g} s"
                raise NotReady(reason, None, "not_ready")
            time.sleep(READY_POLL_S)

    def fault(self) -> str | None:
        """Why only a new engine can help: the device thread has failed, ended, or is stuck.

        A model that cannot be loaded is no reason: loading is tried again.
        """
        phase = self._admission.queue().phase
        if self._crash:
            return f"{self._crash}; see its log"
        if phase != "draining" and not self._thread.is_alive():
            return "the device thread has ended"
        limits, sizes = self.profile.engine, self.profile.sizes
        largest = Work.of([limits.token_budget], steps=1, pixels=sizes.max_pixels)
        predicted_s = STALL_FACTOR * self._admission.cost.seconds(largest)
        limit_s = max(self.profile.engine.stall_s, predicted_s)
        if phase in SERVING and self._gauges.beat_age_s > limit_s:
            return f"the device thread is stuck: it has finished nothing for {limit_s:.0f} s"
        if phase in SERVING and self._lane.age_s > limit_s:
            return f"a decode is stuck: it has taken more than {limit_s:.0f} s"
        return None

    def give_up(self, reason: str) -> None:
        """Fail what is on its way, so that nobody waits for a thread that does not answer."""
        self._admission.give_up(reason)

    def held_twice_bytes(self) -> int:
        """Bytes of live tensors that repeat a weight; an audit, slow."""
        return held_twice_bytes(self._loaded.family.components.tensors()) if self._loaded else 0

    def close(self, timeout_s: float = 30.0) -> None:
        """Refuse newcomers, fail what is on its way, end the device thread."""
        self._admission.enter("draining")
        self._thread.join(timeout_s)

    def _require_loaded(self) -> Loaded:
        if self._loaded is None:
            raise AssertionError("requests are taken only once the model is loaded")
        return self._loaded

    @property
    def _added(self) -> HeldStyles:
        styles = self._require_loaded().styles
        if styles is None:
            raise AssertionError("styles are added only where there is a folder for them")
        return styles

    # The device thread -----------------------------------------------------------------------

    def _run(self) -> None:
        torch.set_num_threads(self.profile.engine.threads)  # per thread: OpenMP's own setting
        with torch.inference_mode():
            try:
                retry_s = self.profile.engine.load_retry_s
                load_until_ready(self._start, self._discard, self._admission, retry_s)
                if self._loaded is not None:
                    Loop(self.profile, self._loaded, self._admission, self._gauges).run()
            except EngineDead as error:
                log.exception("the engine is dead")
                self._crash = str(error)
                self._admission.enter("failed", self._crash)
            except BaseException as error:
                log.exception("the device thread failed")
                self._crash = f"the device thread has failed ({type(error).__name__})"
                self._admission.enter("failed", "internal error of the engine; see its log")
            finally:
                stopped = ReplicaDown("The engine has stopped.", None, "stopped")
                for request in self._admission.requests():
                    self._admission.fail(request, copy(stopped))
                for errand in self._admission.errands():
                    if errand.done.set_running_or_notify_cancel():
                        errand.done.set_exception(copy(stopped))
                self._lane.join(self.profile.engine.stall_s)

    def _discard(self) -> None:
        """Forget what a load left that did not end in a ready model."""
        self._gauges.loads_failed += 1
        self._gauges.release()
        self._embeddings = EmbeddingCache(self.profile.engine.embedding_cache_bytes)
        self._loaded = None

    def _start(self) -> None:
        profile, times = self.profile, StartTimes()
        plan = start_plan(profile) if self._reliefs is None else None
        reliefs = plan.reliefs if plan else self._reliefs or ()
        if plan:
            hold_to(profile.model, plan.budget)
        times.end("plan")
        family = self._load(reliefs)
        styles = self._hold_styles(family)
        times.end("weights")
        residency = Residency(family)
        recovery = Recovery(residency, profile.sizes, plan)
        preparation = Preparation(family, self._embeddings, recovery)
        residency.apply(reliefs)
        self._gauges.hold(family.components, recovery, plan, styles)
        if plan:
            self._admission.limit_forwards(plan.token_budget)
        elif family.components.device.type == "cpu" and not reliefs:
            # Plans and reliefs count on one piece of work at a time.
            self._lane = Lane(profile.engine.threads)
        clock, cost = DeviceClock.of(family.components.device), self._admission.cost
        decoder = Decoder(family, recovery, self._lane, clock, cost)
        times.end("placement")
        self._admission.enter("warming")
        warm_up(profile, family, preparation, recovery, clock, cost)
        projection = LatentProjection(family.latents_of)
        times.end("warm_up")
        self._gauges.start_s = times.seconds
        self._loaded = Loaded(
            family, recovery, preparation, decoder, self._lane, clock, projection, styles
        )
        self._admission.enter("ready")

    def _hold_styles(self, family: Family) -> HeldStyles | None:
        """The added styles, held before a residency changes the weights that they may look at."""
        if self._styles is None:
            return None
        adapters, most = family.components.adapters, self.profile.engine.added_styles_bytes
        layers, device = family.styled_layers(), family.components.device
        held = HeldStyles(self._styles, layers, adapters, device, family.components.dtype, most)
        held.follow(())
        return held
