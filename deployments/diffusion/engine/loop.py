"""The loop that owns the device: admit, step, tell, decode, deliver, tick by tick.

A tick lies between two steps: everything that may change does so there. One thread (`device`) runs
the model and owns every Row; what it shares with callers is `Admission`'s. On a CPU the lane
decodes pictures beside it, from final latents that it is lent.
"""

import logging
import time
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial

import torch

from deployments.diffusion.engine.admission import Admission, Errand
from deployments.diffusion.engine.clock import DeviceClock
from deployments.diffusion.engine.decoder import Decoded, Decoder, Picture
from deployments.diffusion.engine.health import Health, draw_once, require_device
from deployments.diffusion.engine.lane import Lane
from deployments.diffusion.engine.preparation import Preparation
from deployments.diffusion.engine.preview import LatentProjection, show
from deployments.diffusion.engine.state import Gauges
from deployments.diffusion.families import Family, begin_next_pass
from deployments.diffusion.memory import (
    BackOff,
    Recovery,
    Residency,
    attempt,
    is_out_of_memory,
    without_frames,
)
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import Request, Row, Work, forward_work
from deployments.diffusion.styles import HeldStyles
from deployments.errors import DeadlineMissed, GenerationFailed, ReplicaDown, RequestError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What there is once the model is loaded and warm. For the device thread alone.

    styles: the added ones; None where none can be.
    """

    family: Family
    recovery: Recovery
    preparation: Preparation
    decoder: Decoder
    lane: Lane[Picture]
    clock: DeviceClock
    projection: LatentProjection
    styles: HeldStyles | None = None

    @property
    def residency(self) -> Residency:
        """Where the weights lie."""
        return self.recovery.residency


class Loop:
    """What the device thread does from the first request to the last. For that thread alone."""

    def __init__(
        self, profile: DiffusionProfile, loaded: Loaded, admission: Admission, gauges: Gauges
    ) -> None:
        self._model = profile.model
        self._loaded = loaded
        self._admission = admission
        self._gauges = gauges
        self._health = Health(partial(draw_once, profile, loaded.family, loaded.recovery))
        self._stays_awake = BackOff()
        self._idle_since = time.monotonic()

    def run(self) -> None:
        """Tick until the engine is to end."""
        while self._serving():
            self._tick()

    def _serving(self) -> bool:
        """Wait for work, a while at most; False once the engine is to end."""
        began = time.perf_counter()
        serving = self._admission.serving()
        self._gauges.idle_s += time.perf_counter() - began
        return serving

    def _tick(self) -> None:
        """Between two steps: everything that may change does so here."""
        self._loaded.clock.collect()
        self._drop_unwanted()
        self._change_styles()
        self._loaded.recovery.restore()
        self._loaded.lane.share(self._admission.shared())
        for stage in (self._admit, self._step, self._tell, self._decode):
            if self._awake():
                stage()
        self._gauges.beat()
        if self._loaded.lane.busy:
            self._admission.wait_beside(self._loaded.lane.done)

    def _awake(self) -> bool:
        """Whether the weights are where they belong: a request brings them back, idling does not.

        Without the memory to bring them back, what is on its way fails.
        """
        if not self._admission.requests():
            self._rest()
            return not self._loaded.residency.asleep
        if self._wake():
            return True
        for request in self._admission.requests():
            self._fail(request, no_room("the sleeping model", "no_room_to_wake"))
        return False

    def _wake(self) -> bool:
        """Bring the weights back, if they sleep; False where there is no room for them."""
        self._idle_since = time.monotonic()
        if not self._loaded.residency.asleep:
            return True
        error = attempt(self._loaded.residency.wake)
        if error is None:
            self._admission.enter("ready")
            return True
        if not is_out_of_memory(error):
            raise error
        return False

    def _change_styles(self) -> None:
        """Do what others have sent this thread to do; let go of styles that rows do not wear any
        more. A model that sleeps wakes for it."""
        errands, styles = self._admission.errands(), self._loaded.styles
        if styles is not None and styles.leaving - (worn := self._admission.worn()):
            errands.append(Errand(partial(styles.follow, worn), Future()))
        for errand in errands:
            if not errand.done.set_running_or_notify_cancel():
                continue
            room = self._wake()
            outcome = (
                attempt(errand.work) if room else no_room("the sleeping model", "no_room_to_wake")
            )
            self._loaded.residency.settle()
            self._gauges.weigh(self._loaded.family.components, styles)
            self._gauges.beat()
            if not isinstance(outcome, Exception):
                errand.done.set_result(outcome)
                continue
            require_device(outcome)
            log.warning("a change of styles failed: %r", outcome)
            short = is_out_of_memory(outcome)
            error = no_room("the style", "no_room_for_style") if short else outcome
            errand.done.set_exception(error)

    def _rest(self) -> None:
        """Sleep after an idle while, if the profile says so; if that fails, again after a pause."""
        residency, awake = self._loaded.residency, self._stays_awake
        idle_s = time.monotonic() - self._idle_since
        idle = idle_s >= self._model.sleep_after_s and not self._loaded.lane.busy
        if self._model.residency != "sleep" or not idle or residency.asleep or awake.left_s > 0:
            return
        error = attempt(residency.sleep)
        if error is None:
            awake.end()
            self._admission.enter("sleeping")
            return
        awake.begin()
        log.warning("the model stays awake, tries again in %.0f s: %s", awake.left_s, error)
        self._health.prove()  # a device that is lost fails here too
        self._admission.enter("ready", "it cannot sleep: host memory does not take the weights")

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
                request.rows = self._loaded.preparation.rows(request)
            except Exception as error:
                self._fail(request, error)
            else:
                self._admission.run(request.rows)
            self._gauges.beat()

    def _step(self) -> None:
        rows = self._admission.next_batch()
        for part in self._loaded.recovery.parts(rows):
            self._step_part(part)
        for row in rows:
            if row.denoised and not row.request.future.done():
                self._admission.to_decoder(row)
                if row.request.denoised:
                    row.request.lap(row.passes[0].stage)

    def _step_part(self, rows: list[Row]) -> None:
        """Step the rows together, or in smaller parts: one row's fault is not its neighbours'."""
        step = partial(self._euler, rows)
        if len(rows) == 1:
            if rows[0].request.future.done():
                return  # another of its rows has failed
            error = attempt(partial(self._loaded.recovery.run, "forward", rows[0].request, step))
            if error:
                self._fail(rows[0].request, error)
            return
        error = attempt(step)
        if error is None:
            return
        log.warning("a forward of %d rows failed: %r", len(rows), error)
        short = is_out_of_memory(error)
        for part in self._loaded.recovery.halve(rows) if short else [[row] for row in rows]:
            self._step_part(part)

    def _euler(self, rows: list[Row]) -> None:
        """One forward and one Euler step of every row; if the forward raises, no row has moved."""
        with self._loaded.clock.timing(partial(self._stepped, forward_work(rows))):
            velocities = self._loaded.family.velocity(rows)
            for row, velocity in zip(rows, velocities, strict=True):
                try:
                    self._advance(row, velocity)
                except Exception as error:
                    self._fail(row.request, error)
        self._gauges.stepped(rows)
        self._gauges.beat()

    def _stepped(self, forward: Work, seconds: float) -> None:
        """Learn how long a forward took; on a GPU told some ticks later."""
        self._gauges.took(seconds)
        self._admission.cost.observe_step(forward, self._loaded.lane.device_s(seconds))

    def _advance(self, row: Row, velocity: torch.Tensor) -> None:
        """An Euler step, then what the family does after it."""
        row.advance(velocity)
        show(row, velocity, self._loaded.projection)
        self._loaded.family.after_step(row, velocity)

    def _tell(self) -> None:
        """Tell the listeners what is new since the last tick."""
        for request in self._admission.requests():
            if request.sink is None:
                continue
            progress = self._admission.progress(request)
            last = request.progress
            if last is None or (progress.step, progress.position) != (last.step, last.position):
                request.progress = progress
                error = attempt(partial(request.sink, progress))
                if error:
                    self._fail(request, error)

    def _decode(self) -> None:
        for row in self._admission.next_decodes():
            self._collect()
            if row.request.future.done():
                continue
            if self._loaded.lane.free and not row.returns:
                self._loaded.decoder.begin(row, self._admission.wake)
                self._gauges.decodes_beside += 1
            else:
                self._decoded(self._loaded.decoder.decode(row))
        self._collect()

    def _collect(self) -> None:
        decoded = self._loaded.decoder.take()
        if decoded:
            self._decoded(decoded)

    def _decoded(self, decoded: Decoded) -> None:
        """Hand the picture on, or begin to draw over it once more."""
        row, outcome = decoded
        request = row.request
        self._gauges.beat()
        if isinstance(outcome, Exception):
            self._fail(request, outcome)
            return
        if request.future.done():
            return
        if row.returns:
            self._draw_over(row, outcome)
            return
        row.picture = outcome
        if request.drawn:
            request.lap("decode")
            self._deliver(request)

    def _draw_over(self, row: Row, picture: Picture) -> None:
        request = row.request
        again = partial(begin_next_pass, row, picture, self._loaded.family)
        try:
            self._loaded.recovery.by_vae("start", request, row.passes[1].pixels, again)
        except Exception as error:
            self._fail(request, error)
        else:
            self._admission.run([row])
            request.lap("enlarge")

    def _deliver(self, request: Request) -> None:
        drawn = request.as_drawn()
        self._health.succeeded()
        self._admission.leave(request)
        request.future.set_result(drawn)

    def _fail(self, request: Request, error: Exception) -> None:
        """Fail one request; its tensors go with its rows, and no traceback keeps them.

        Raises EngineDead where it is not the request that is at fault.
        """
        require_device(error)
        if request.future.done():
            return
        self._health.failed(error)
        self._admission.leave(request)
        if is_out_of_memory(error):
            error = self._loaded.recovery.refusal("forward", request)
        if not isinstance(error, RequestError):
            log.error("request %s failed", request.id, exc_info=error)
            error = GenerationFailed(
                "The model failed on this request; other requests are unharmed.",
                None,
                "generation_failed",
            )
        elif isinstance(error, GenerationFailed):
            log.error("request %s failed: %s", request.id, error)
        if isinstance(error, GenerationFailed):
            self._gauges.failures[error.code] += 1
        request.future.set_exception(without_frames(error))


def no_room(what: str, code: str) -> ReplicaDown:
    """The refusal of what needs something that finds no room on the device."""
    return ReplicaDown(f"The device has no room for {what} now; try again later.", None, code)
