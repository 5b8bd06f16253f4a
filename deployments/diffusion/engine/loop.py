"""The loop that owns the device: admit, encode, step, decode, deliver.

One thread (`device`) runs the model and owns every Generation; what it shares with callers is
`Admission`'s. On a CPU the lane decodes pictures beside it, from final latents that it is lent.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError, Future
from dataclasses import asdict
from functools import partial

import torch

from deployments.diffusion.engine.admission import Admission
from deployments.diffusion.engine.decoder import Decoded, Decoder, Picture
from deployments.diffusion.engine.lane import Lane
from deployments.diffusion.engine.loading import load_until_ready, warm_up
from deployments.diffusion.engine.passes import begin_next_pass
from deployments.diffusion.engine.preparation import EncodingCache, Preparation
from deployments.diffusion.engine.preview import LatentProjection, show
from deployments.diffusion.engine.state import SERVING, EngineState, Gauges
from deployments.diffusion.families import Family, plan_passes
from deployments.diffusion.memory import (
    Placement,
    Recovery,
    attempt,
    is_out_of_memory,
    start_plan,
    tokens,
    without_frames,
)
from deployments.diffusion.profile import DiffusionProfile, EngineLimits, Residency
from deployments.diffusion.request import (
    NO_HURRY,
    Generation,
    GenerationParams,
    Request,
    Sink,
    Terms,
    Work,
)
from deployments.diffusion.start import Phases
from deployments.errors import DeadlineMissed, GenerationFailed, NotReady, RequestError
from deployments.handover import Drawn, Fitted

log = logging.getLogger(__name__)

READY_POLL_S = 0.02
STALL_FACTOR = 10  # a piece of work that takes so many times what was predicted is stuck


class Engine:
    """The only owner of the device."""

    def __init__(
        self,
        profile: DiffusionProfile,
        load: Callable[[Collection[Residency]], Family],
        reliefs: Collection[Residency] | None = None,
    ) -> None:
        """Begin to load. reliefs: where the weights are to lie; None lets the memory plan say.

        load: reads the weights, and is told the reliefs, so that it need not bring to the device
        what will not stay there.
        """
        self.profile = profile
        self._load = load
        self._reliefs = reliefs
        self._crash: str | None = None
        self._ladder: Recovery | None = None
        self._prepare: Preparation | None = None
        self._family: Family | None = None
        self._admission = Admission(profile)
        self._encodings = EncodingCache(profile.engine.embedding_cache_bytes)
        self._gauges = Gauges()
        self._lane: Lane[Picture] = Lane(threads=1)
        self._decodes: Decoder | None = None
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)
        self._thread.start()

    # Any thread ------------------------------------------------------------------------------

    def submit(
        self,
        request_id: str,
        params: GenerationParams,
        given: Fitted | None = None,
        terms: Terms = NO_HURRY,
        sink: Sink | None = None,
    ) -> Future[Drawn]:
        """Queue a request; `sink` is told of its events, on the device thread.

        Raises InvalidValue for what the profile cannot serve, NotReady outside the ready phase,
        Overloaded when the queue is full or the deadline cannot be met. The future fails with a
        RequestError, or with CancelledError.
        """
        params.check(self.profile)
        terms.check()
        self._admission.require_ready()
        self._loaded.check(params)
        passes = plan_passes(params, self.profile, self._loaded)
        return self._admission.submit(Request(request_id, params, given, terms, passes, sink))

    def cancel(self, request_id: str) -> None:
        """Ask a request to stop: at most one more step of it begins. An unknown id is done."""
        self._admission.cancel(request_id)

    def retune(self, limits: EngineLimits) -> None:
        """Change the queue's bounds and the token budget; what is admitted already stays."""
        self._admission.retune(limits)

    def state(self) -> EngineState:
        """What is held, what runs, what waits."""
        return EngineState(
            **asdict(self._admission.queue()),
            encodes=self._encodings.misses,
            encode_hits=self._encodings.hits,
            **self._gauges.read(),
        )

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
            return f"the device thread has failed ({self._crash}); see its log"
        if phase != "draining" and not self._thread.is_alive():
            return "the device thread has ended"
        largest = Work(self.profile.engine.token_budget, self.profile.sizes.max_pixels)
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
        return 0 if self._family is None else self._family.components.held_twice_bytes()

    def close(self, timeout_s: float = 30.0) -> None:
        """Refuse newcomers, fail what is on its way, end the device thread."""
        self._admission.enter("draining")
        self._thread.join(timeout_s)

    # The device thread -----------------------------------------------------------------------

    def _run(self) -> None:
        torch.set_num_threads(self.profile.engine.threads)  # per thread: OpenMP's own setting
        with torch.inference_mode():
            try:
                retry_s = self.profile.engine.load_retry_s
                load_until_ready(self._start, self._discard, self._admission, retry_s)
                while self._serving():
                    self._border()
            except BaseException as error:
                log.exception("the device thread failed")
                self._crash = type(error).__name__
                self._admission.enter("failed", "internal error of the engine; see its log")
            finally:
                for request in self._admission.requests():
                    self._fail(request, NotReady("The engine has stopped.", None, "stopped"))
                self._lane.join(self.profile.engine.stall_s)

    def _serving(self) -> bool:
        """Wait for work, a while at most; False once the engine is to end."""
        began = time.perf_counter()
        serving = self._admission.serving()
        self._gauges.idle_s += time.perf_counter() - began
        return serving

    def _discard(self) -> None:
        """Forget what a load left that did not end in a ready model."""
        self._gauges.loads_failed += 1
        self._gauges.release()
        self._encodings = EncodingCache(self.profile.engine.embedding_cache_bytes)
        self._family = self._ladder = self._prepare = self._decodes = None

    def _start(self) -> None:
        phases = Phases()
        plan = start_plan(self.profile) if self._reliefs is None else None
        reliefs = plan.reliefs if plan else self._reliefs or ()
        phases.end("plan")
        family = self._family = self._load(reliefs)
        phases.end("weights")
        whole = plan.whole_pixels if plan else None
        self._ladder = Recovery(Placement(family), self.profile.sizes, whole)
        self._prepare = Preparation(self.profile, family, self._encodings, self._recovery)
        self._placement.apply(reliefs)
        self._gauges.hold(family.components, self._recovery, plan)
        if plan:
            self._admission.limit_forwards(plan.token_budget)
        elif family.components.device.type == "cpu" and not reliefs:
            # Plans and reliefs count on one piece of work at a time.
            self._lane = Lane(self.profile.engine.threads)
        self._decodes = Decoder(family, self._recovery, self._lane)
        phases.end("placement")
        self._admission.enter("warming")
        warm_up(self.profile, family, self._preparation, self._recovery, self._admission.cost)
        self._projection = LatentProjection(family.latents_of)
        phases.end("warm_up")
        self._gauges.start_s = phases.seconds
        self._idle_since = time.monotonic()
        self._admission.enter("ready")

    def _border(self) -> None:
        """Between two steps: everything that may change does so here."""
        self._drop_unwanted()
        self._lane.share(self._admission.shared())
        for stage in (self._admit, self._step, self._tell, self._decode):
            if self._awake():
                stage()
        self._gauges.beat()
        if self._lane.busy:
            self._admission.wait_beside(self._lane.done)

    def _awake(self) -> bool:
        """Whether the weights are where they belong: a request brings them back, idling does not.

        Without the memory to bring them back, what is on its way fails.
        """
        if not self._admission.requests():
            self._rest()
            return not self._placement.asleep
        self._idle_since = time.monotonic()
        if not self._placement.asleep:
            return True
        error = attempt(self._placement.wake)
        if error is None:
            self._admission.enter("ready")
            return True
        if not is_out_of_memory(error):
            raise error
        for request in self._admission.requests():
            message = "The device has no room for the sleeping model now; try again later."
            self._fail(request, NotReady(message, None, "no_room_to_wake"))
        return False

    def _rest(self) -> None:
        """Sleep after an idle while, if the profile says so."""
        model = self.profile.model
        idle = time.monotonic() - self._idle_since >= model.sleep_after_s and not self._lane.busy
        if model.residency == "sleep" and idle and not self._placement.asleep:
            self._placement.sleep()
            self._admission.enter("sleeping")

    def _drop_unwanted(self) -> None:
        """Drop what nobody waits for any more: the cancelled and the overdue."""
        for request in self._admission.requests():
            if request.cancelled.is_set():
                self._admission.leave(request)
                request.future.set_exception(CancelledError())
            elif request.overdue:
                deadline = f"{request.terms.deadline_s:g} s"
                message = f"deadline_s: the answer was not there within {deadline}"
                self._fail(request, DeadlineMissed(message, "deadline_s", "deadline_missed"))

    def _admit(self) -> None:
        while request := self._admission.admit():
            request.lap("queue")
            try:
                request.generations = self._preparation.rows(request)
            except Exception as error:
                self._fail(request, error)
            else:
                self._admission.run(request.generations)
            self._gauges.beat()

    def _step(self) -> None:
        rows = self._admission.next_batch()
        for part in self._recovery.parts(rows):
            self._step_part(part)
        for row in rows:
            if row.denoised and not row.request.future.done():
                self._admission.to_decoder(row)
                if row.request.denoised:
                    row.request.lap(row.passes[0].stage)

    def _step_part(self, rows: list[Generation]) -> None:
        """Step the rows together, or in smaller parts: one row's fault is not its neighbours'."""
        step = partial(self._euler, rows)
        if len(rows) == 1:
            error = attempt(partial(self._recovery.run, "forward", rows[0].request, step))
            if error:
                self._fail(rows[0].request, error)
            return
        error = attempt(step)
        if error is None:
            return
        log.warning("a forward of %d rows failed: %r", len(rows), error)
        short = is_out_of_memory(error)
        for part in self._recovery.halve(rows) if short else [[row] for row in rows]:
            self._step_part(part)

    def _euler(self, rows: list[Generation]) -> None:
        """One forward and one Euler step of every row; if the forward raises, no row has moved."""
        began = time.perf_counter()
        velocities = self._loaded.velocity(rows)
        for row, velocity in zip(rows, velocities, strict=True):
            try:
                self._advance(row, velocity)
            except Exception as error:
                self._fail(row.request, error)
        seconds = time.perf_counter() - began
        self._gauges.stepped(rows, seconds)
        self._admission.cost.observe_step(tokens(rows), self._lane.device_s(seconds))
        self._gauges.beat()

    def _advance(self, row: Generation, velocity: torch.Tensor) -> None:
        """Euler: x + (sigma_next - sigma) * dx/dsigma, then what the family does after a step."""
        row.latents = row.latents + (row.sigmas[row.step + 1] - row.sigmas[row.step]) * velocity
        row.step += 1
        show(row, velocity, self._projection)
        self._loaded.after_step(row, velocity)

    def _tell(self) -> None:
        """Tell the listeners what is new since the last border."""
        for request in self._admission.requests():
            if request.sink is None:
                continue
            progress = self._admission.progress(request)
            last = request.told
            if last is None or (progress.step, progress.position) != (last.step, last.position):
                request.told = progress
                error = attempt(partial(request.sink, progress))
                if error:
                    self._fail(request, error)

    def _decode(self) -> None:
        for row in self._admission.next_decodes():
            self._collect()
            if row.request.future.done():
                continue
            if self._lane.free and not row.returns:
                self._decoder.begin(row, self._admission.wake)
                self._gauges.decodes_beside += 1
            else:
                self._decoded(self._decoder.decode(row))
        self._collect()

    def _collect(self) -> None:
        decoded = self._decoder.take()
        if decoded and not decoded.row.request.future.done():
            self._decoded(decoded)

    def _decoded(self, decoded: Decoded) -> None:
        """Hand the picture on, or begin to draw over it once more."""
        row, outcome, device_s = decoded
        request = row.request
        self._gauges.beat()
        if isinstance(outcome, Exception):
            self._fail(request, outcome)
            return
        self._admission.cost.observe_decode(outcome.shape[0] * outcome.shape[1], device_s)
        if row.returns:
            self._draw_over(row, outcome)
            return
        row.picture = outcome
        if request.drawn:
            request.lap("decode")
            self._deliver(request)

    def _draw_over(self, row: Generation, picture: Picture) -> None:
        request = row.request
        again = partial(begin_next_pass, row, picture, self._loaded)
        try:
            self._recovery.by_vae("start", request, row.passes[1].pixels, again)
        except Exception as error:
            self._fail(request, error)
        else:
            self._admission.run([row])
            request.lap("enlarge")

    def _deliver(self, request: Request) -> None:
        drawn = request.as_drawn()
        self._admission.leave(request)
        request.future.set_result(drawn)

    def _fail(self, request: Request, error: Exception) -> None:
        """Fail one request; its tensors go with its rows, and no traceback keeps them."""
        if request.future.done():
            return
        self._admission.leave(request)
        if is_out_of_memory(error):
            error = self._recovery.refusal("forward", request)
        if not isinstance(error, RequestError):
            log.error("request %s failed", request.id, exc_info=error)
            error = GenerationFailed(
                "The model failed on this request; other requests are unharmed.",
                None,
                "generation_failed",
            )
        request.future.set_exception(without_frames(error))

    @property
    def _loaded(self) -> Family:
        if self._family is None:
            raise AssertionError("nothing is asked of the family before it is loaded")
        return self._family

    @property
    def _recovery(self) -> Recovery:
        if self._ladder is None:
            raise AssertionError("nothing is recovered before the model is loaded")
        return self._ladder

    @property
    def _preparation(self) -> Preparation:
        if self._prepare is None:
            raise AssertionError("nothing is prepared before the model is loaded")
        return self._prepare

    @property
    def _decoder(self) -> Decoder:
        if self._decodes is None:
            raise AssertionError("nothing is decoded before the model is loaded")
        return self._decodes

    @property
    def _placement(self) -> Placement:
        return self._recovery.placement
