"""The loop that owns the device: admit, encode, step, decode, deliver.

One thread (`device`) runs the model and owns every Generation. Callers on other threads submit,
cancel and read the state; they share only what `_lock` guards: the scheduler, the requests by id
and the phase. The device thread never holds the lock while the model runs.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

import numpy as np
import torch
from numpy.typing import NDArray

from deployments.diffusion.components import ModelUnavailable
from deployments.diffusion.embeddings import EncodingCache
from deployments.diffusion.families import Family
from deployments.diffusion.profile import DiffusionProfile, EngineLimits, parse_size
from deployments.diffusion.request import Generation, GenerationParams, Request
from deployments.diffusion.scheduler import StepScheduler
from deployments.diffusion.state import EngineState, Gauges, Phase
from deployments.errors import GenerationFailed, NotReady, Overloaded, RequestError
from deployments.handover import Drawn, Fitted

log = logging.getLogger(__name__)

IDLE_BEAT_S = 1.0  # an idle device thread wakes this often, so that its heartbeat is always young


class Engine:
    """The only owner of the device."""

    def __init__(self, profile: DiffusionProfile, load: Callable[[], Family]) -> None:
        self.profile = profile
        self._load = load
        self._family: Family | None = None
        self._lock = threading.Condition()
        self._scheduler: StepScheduler[Request, Generation] = StepScheduler(profile.engine)
        self._requests: dict[str, Request] = {}
        self._phase: Phase = "loading"
        self._reason: str | None = None
        self._gauges = Gauges()
        self._encodings = EncodingCache(profile.engine.embedding_cache_bytes)
        self._denoised: list[Generation] = []  # device thread only: rows that wait for a decode
        self.crashed = False  # the device thread met an error of its own: only a new engine helps
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)
        self._thread.start()

    # Any thread ------------------------------------------------------------------------------

    def submit(
        self, request_id: str, params: GenerationParams, given: Fitted | None = None
    ) -> Future[Drawn]:
        """Queue a request.

        Raises InvalidValue for what the profile cannot serve, NotReady outside the ready phase,
        Overloaded when the queue is full. The future fails with a RequestError, or is cancelled.
        """
        params.check(self.profile)
        request = Request(request_id, params, given)
        request.future.set_running_or_notify_cancel()  # from here on only the engine ends it
        with self._lock:
            if self._phase != "ready":
                raise NotReady(
                    f"The model is {self._phase}{': ' + self._reason if self._reason else ''}.",
                    None,
                    f"model_{self._phase}",
                )
            if request_id in self._requests:
                raise ValueError(f"request {request_id} is already on its way")
            if not self._scheduler.submit(request):
                raise Overloaded(
                    f"The queue is full ({self._scheduler.capacity} pictures); try again later.",
                    None,
                    "queue_full",
                    self._gauges.seconds_for(self._scheduler.held, params.num_inference_steps),
                )
            self._requests[request_id] = request
            self._lock.notify()
        return request.future

    def cancel(self, request_id: str) -> None:
        """Ask a request to stop: at most one more step of it begins. An unknown id is done."""
        with self._lock:
            request = self._requests.get(request_id)
            if request is not None:
                request.cancelled.set()
                self._lock.notify()

    def retune(self, limits: EngineLimits) -> None:
        """Change the queue's bounds and the token budget; what is admitted already stays."""
        with self._lock:
            self._scheduler.limits = limits
            self._lock.notify()

    def state(self) -> EngineState:
        """What is held, what runs, what waits."""
        with self._lock:
            return EngineState(
                phase=self._phase,
                reason=self._reason,
                running=len(self._scheduler.running),
                waiting=sum(request.rows for request in self._scheduler.waiting),
                max_running=self._scheduler.limits.max_running,
                max_waiting=self._scheduler.limits.max_waiting,
                encodes=self._encodings.misses,
                encode_hits=self._encodings.hits,
                **self._gauges.read(),
            )

    def held_twice_bytes(self) -> int:
        """Bytes of live tensors that repeat a weight; an audit, slow."""
        return 0 if self._family is None else self._family.components.held_twice_bytes()

    def close(self, timeout_s: float = 30.0) -> None:
        """Refuse newcomers, fail what is on its way, end the device thread."""
        with self._lock:
            self._phase = "draining"
            self._lock.notify()
        self._thread.join(timeout_s)

    # The device thread -----------------------------------------------------------------------

    def _run(self) -> None:
        torch.set_num_threads(self.profile.engine.threads)  # per thread: OpenMP's own setting
        with torch.inference_mode():
            try:
                self._start()
                while self._serving():
                    self._border()
            except ModelUnavailable as error:
                self._enter("failed", str(error))
            except Exception:
                log.exception("the device thread failed")
                self.crashed = True
                self._enter("failed", "internal error of the engine; see its log")
            finally:
                self._fail_everyone()

    def _start(self) -> None:
        family = self._load()
        self._gauges.hold(family.components)
        self._enter("warming")
        self._family = family
        self._warm_up(family)
        self._enter("ready")

    def _warm_up(self, family: Family) -> None:
        """Run every stage once at the default size, so that the first client pays for none."""
        width, height = parse_size(self.profile.sizes.default)
        params = GenerationParams("warm up", width, height, 1, seed=0)
        request = Request("warm-up", params, None)
        (row,) = self._rows(family, request)
        (velocity,) = family.velocity([row])
        family.decode(row.latents + velocity)

    def _serving(self) -> bool:
        """Wait for work, a while at most; False once the engine is to end."""
        with self._lock:
            if not self._requests and self._phase == "ready":
                self._lock.wait(IDLE_BEAT_S)
            return self._phase == "ready"

    def _border(self) -> None:
        """Between two steps: everything that may change does so here."""
        self._drop_cancelled()
        self._admit()
        self._step()
        self._decode()
        self._gauges.beat()

    def _drop_cancelled(self) -> None:
        with self._lock:
            cancelled = [r for r in self._requests.values() if r.cancelled.is_set()]
        for request in cancelled:
            self._leave(request)
            request.future.set_exception(CancelledError())

    def _admit(self) -> None:
        while True:
            with self._lock:
                request = self._scheduler.admit()
            if request is None:
                return
            request.lap("queue")
            try:
                request.generations = self._rows(self._loaded, request)
            except Exception as error:
                self._fail(request, error)
                continue
            with self._lock:
                self._scheduler.run(request.generations)

    def _rows(self, family: Family, request: Request) -> list[Generation]:
        params = request.params
        embedding = self._encode(family, request, params.prompt)
        negative = None
        if params.guidance_scale > 0:
            negative = self._encode(family, request, params.negative_prompt or "")
        request.lap("encode")
        starts = family.start(params, request.given)
        if request.given and request.given.mask is None and family.ignores_picture(starts[0]):
            request.warn(
                [
                    f"strength: {params.strength} at {params.num_inference_steps} steps starts "
                    "from pure noise: the given picture is ignored"
                ]
            )
        request.lap("start")
        return [
            Generation(
                request=request,
                sigmas=start.sigmas,
                latents=start.latents,
                embedding=embedding,
                negative=negative,
                source=start.source,
                lengths=family.lengths(start, embedding, negative),
                batch_key=family.batch_key(start),
            )
            for start in starts
        ]

    def _encode(self, family: Family, request: Request, prompt: str) -> torch.Tensor:
        encoding = self._encodings.get(prompt)
        if encoding is None:
            encoding = family.encode(prompt)
            self._encodings.put(prompt, encoding)
        request.warn(encoding.warnings)
        return encoding.embedding

    def _step(self) -> None:
        with self._lock:
            rows = self._scheduler.next_batch()
        if not rows:
            return
        error = self._euler(rows)
        if error and len(rows) > 1:  # one row's fault is not its neighbours': each alone
            for row in rows:
                alone = self._euler([row])
                if alone:
                    self._fail(row.request, alone)
        elif error:
            self._fail(rows[0].request, error)
        for row in rows:
            if row.denoised and not row.request.future.done():
                self._hand_to_decoder(row)

    def _euler(self, rows: list[Generation]) -> Exception | None:
        """One forward and one Euler step of every row; if the forward raises, no row has moved."""
        began = time.perf_counter()
        try:
            velocities = self._loaded.velocity(rows)
        except Exception as error:
            log.exception("a forward of %d rows failed", len(rows))
            return _without_frames(error)
        for row, velocity in zip(rows, velocities, strict=True):
            try:
                self._advance(row, velocity)
            except Exception as error:
                self._fail(row.request, error)
        self._gauges.stepped(rows, time.perf_counter() - began)
        return None

    def _advance(self, row: Generation, velocity: torch.Tensor) -> None:
        """Euler: x + (sigma_next - sigma) * dx/dsigma, then what the family does after a step."""
        row.latents = row.latents + (row.sigmas[row.step + 1] - row.sigmas[row.step]) * velocity
        row.step += 1
        self._loaded.after_step(row)

    def _hand_to_decoder(self, row: Generation) -> None:
        with self._lock:
            self._scheduler.stop(row)
        self._denoised.append(row)
        if row.request.denoised:
            row.request.lap("steps")

    def _decode(self) -> None:
        """Decode half of what waits: a burst of finished pictures must not stall the others."""
        with self._lock:
            stepping = bool(self._scheduler.running)
        count = max(1, len(self._denoised) // 2) if stepping else len(self._denoised)
        batch, self._denoised = self._denoised[:count], self._denoised[count:]
        for row in batch:
            request = row.request
            if request.future.done():
                continue
            try:
                row.picture = paste_back(self._loaded.decode(row.latents), request.given)
            except Exception as error:
                self._fail(request, error)
                continue
            if request.drawn:
                request.lap("decode")
                self._deliver(request)

    def _deliver(self, request: Request) -> None:
        params = request.params
        drawn = Drawn(
            id=request.id,
            pictures=np.stack([g.picture for g in request.generations if g.picture is not None]),
            seeds=tuple(params.seed + i for i in range(params.n)),
            steps_executed=request.generations[0].steps,
            timings_ms=request.timings_ms,
            warnings=tuple(request.warnings),
        )
        self._leave(request)
        request.future.set_result(drawn)

    def _fail(self, request: Request, error: Exception) -> None:
        """Fail one request; its tensors go with its rows, and no traceback keeps them."""
        if request.future.done():
            return
        self._leave(request)
        if not isinstance(error, RequestError):
            log.error("request %s failed", request.id, exc_info=error)
            error = GenerationFailed(
                "The model failed on this request; other requests are unharmed.",
                None,
                "generation_failed",
            )
        request.future.set_exception(_without_frames(error))

    def _leave(self, request: Request) -> None:
        """Take the request out of every list; from here on nothing refers to its tensors."""
        with self._lock:
            for row in request.generations:
                if row in self._scheduler.running:
                    self._scheduler.stop(row)
            self._scheduler.release(request)
            del self._requests[request.id]
        request.generations.clear()  # request and rows refer to each other: free the tensors now
        self._denoised = [row for row in self._denoised if row.request is not request]

    def _enter(self, phase: Phase, reason: str | None = None) -> None:
        with self._lock:
            if self._phase != "draining":
                self._phase, self._reason = phase, reason
        log.info("engine %s%s", phase, f": {reason}" if reason else "")

    def _fail_everyone(self) -> None:
        with self._lock:
            requests = list(self._requests.values())
        for request in requests:
            self._fail(request, NotReady("The engine has stopped.", None, "engine_stopped"))

    @property
    def _loaded(self) -> Family:
        if self._family is None:
            raise AssertionError("no request is admitted before the family is loaded")
        return self._family


def paste_back(picture: NDArray[np.uint8], given: Fitted | None) -> NDArray[np.uint8]:
    """The picture with every pixel that the mask protects taken from the given one, bit-equal."""
    if given is None or given.mask is None:
        return picture
    return np.where(given.mask[..., None], picture, given.picture)


def _without_frames(error: Exception) -> Exception:
    """The error without its traceback: its frames would keep tensors alive."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
