"""The loop that owns the device: admit, encode, step, decode, deliver.

One thread (`device`) runs the model and owns every Generation; what it shares with callers is
`Admission`'s.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray

from deployments.diffusion.admission import Admission
from deployments.diffusion.components import ModelUnavailable
from deployments.diffusion.embeddings import EncodingCache
from deployments.diffusion.events import Preview, Sink
from deployments.diffusion.families import Family
from deployments.diffusion.params import GenerationParams, Terms
from deployments.diffusion.passes import begin_next_pass, plan_passes
from deployments.diffusion.preview import LatentProjection, preview_steps
from deployments.diffusion.profile import DiffusionProfile, EngineLimits, parse_size
from deployments.diffusion.request import Generation, Request
from deployments.diffusion.state import EngineState, Gauges
from deployments.errors import DeadlineMissed, GenerationFailed, NotReady, RequestError
from deployments.handover import Drawn, Fitted

log = logging.getLogger(__name__)

NO_HURRY = Terms()


class Engine:
    """The only owner of the device.

    crashed: the device thread met an error of its own, which only a new engine mends.
    """

    def __init__(self, profile: DiffusionProfile, load: Callable[[], Family]) -> None:
        self.profile = profile
        self.crashed = False
        self._load = load
        self._family: Family | None = None
        self._admission = Admission(profile)
        self._encodings = EncodingCache(profile.engine.embedding_cache_bytes)
        self._gauges = Gauges()
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
                self._start()
                while self._admission.serving():
                    self._border()
            except ModelUnavailable as error:
                self._admission.enter("failed", str(error))
            except Exception:
                log.exception("the device thread failed")
                self.crashed = True
                self._admission.enter("failed", "internal error of the engine; see its log")
            finally:
                for request in self._admission.requests():
                    self._fail(request, NotReady("The engine has stopped.", None, "stopped"))

    def _start(self) -> None:
        self._family = self._load()
        self._gauges.hold(self._family.components)
        self._admission.enter("warming")
        self._warm_up()
        self._projection = LatentProjection(self._family.latents_of)
        self._admission.enter("ready")

    def _warm_up(self) -> None:
        """Run every stage at the default size, so that the first client does not pay for it."""
        width, height = parse_size(self.profile.sizes.default)
        params = GenerationParams("warm up", width, height, 1, seed=0)
        passes = plan_passes(params, self.profile, self._loaded)
        request = Request("warm-up", params, None, NO_HURRY, passes)
        for calibrating in (False, True):  # the first pass pays for kernels and allocations
            (row,) = self._rows(request)
            began = time.perf_counter()
            (velocity,) = self._loaded.velocity([row])
            stepped = time.perf_counter()
            self._loaded.decode(row.latents + velocity)
            if calibrating:
                self._admission.cost.observe_step(row.tokens, stepped - began)
                self._admission.cost.observe_decode(width * height, time.perf_counter() - stepped)

    def _border(self) -> None:
        """Between two steps: everything that may change does so here."""
        self._drop_unwanted()
        self._admit()
        self._step()
        self._tell()
        self._decode()
        self._gauges.beat()

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
                request.generations = self._rows(request)
            except Exception as error:
                self._fail(request, error)
            else:
                self._admission.run(request.generations)

    def _rows(self, request: Request) -> list[Generation]:
        params, family = request.params, self._loaded
        embedding = self._encode(request, params.prompt)
        guided = params.guidance_scale > 0
        negative = self._encode(request, params.negative_prompt or "") if guided else None
        request.lap("encode")
        starts = family.start(request.passes[0].params, request.given)
        if request.given and request.given.mask is None and family.ignores_picture(starts[0]):
            request.warn(
                f"strength: {params.strength} at {params.num_inference_steps} steps starts from "
                "pure noise: the given picture is ignored"
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
                passes=request.passes,
            )
            for start in starts
        ]

    def _encode(self, request: Request, prompt: str) -> torch.Tensor:
        encoding = self._encodings.get(prompt)
        if encoding is None:
            encoding = self._loaded.encode(prompt)
            self._encodings.put(prompt, encoding)
        request.warn(*encoding.warnings)
        return encoding.embedding

    def _step(self) -> None:
        rows = self._admission.next_batch()
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
                self._admission.to_decoder(row)
                if row.request.denoised:
                    row.request.lap(row.passes[0].stage)

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
        seconds = time.perf_counter() - began
        self._gauges.stepped(rows, seconds)
        self._admission.cost.observe_step(max(r.tokens for r in rows) * len(rows), seconds)
        return None

    def _advance(self, row: Generation, velocity: torch.Tensor) -> None:
        """Euler: x + (sigma_next - sigma) * dx/dsigma, then what the family does after a step."""
        row.latents = row.latents + (row.sigmas[row.step + 1] - row.sigmas[row.step]) * velocity
        row.step += 1
        self._loaded.after_step(row)
        self._preview(row, velocity)

    def _tell(self) -> None:
        """Tell the listeners what is new since the last border."""
        for request in self._admission.requests():
            if request.sink is None:
                continue
            progress = self._admission.progress(request)
            last = request.told
            if last is None or (progress.step, progress.position) != (last.step, last.position):
                request.told = progress
                request.sink(progress)

    def _preview(self, row: Generation, velocity: torch.Tensor) -> None:
        """Show where the step leads: x - sigma * dx/dsigma, the picture without its noise."""
        request = row.request
        wanted = preview_steps(row.all_steps, request.terms.previews)
        if request.sink is None or row.steps_done not in wanted:
            return
        pixels = self._projection(row.latents - row.sigmas[row.step] * velocity)
        number = request.generations.index(row)
        request.sink(Preview(number, wanted.index(row.steps_done), row.steps_done, pixels))

    def _decode(self) -> None:
        for row in self._admission.next_decodes():
            request = row.request
            if request.future.done():
                continue
            began = time.perf_counter()
            try:
                picture = paste_back(self._loaded.decode(row.latents), request.given)
                seconds = time.perf_counter() - began
                if row.returns:
                    begin_next_pass(row, picture, self._loaded)
                    self._admission.run([row])
                    request.lap("enlarge")
                else:
                    row.picture = picture
            except Exception as error:
                self._fail(request, error)
                continue
            self._admission.cost.observe_decode(picture.shape[0] * picture.shape[1], seconds)
            if request.drawn:
                request.lap("decode")
                self._deliver(request)

    def _deliver(self, request: Request) -> None:
        params = request.params
        drawn = Drawn(
            id=request.id,
            pictures=np.stack([g.picture for g in request.generations if g.picture is not None]),
            seeds=tuple(params.seed + i for i in range(params.n)),
            steps_executed=request.generations[0].steps_done,
            timings_ms=request.timings_ms,
            warnings=tuple(request.warnings),
        )
        self._admission.leave(request)
        request.future.set_result(drawn)

    def _fail(self, request: Request, error: Exception) -> None:
        """Fail one request; its tensors go with its rows, and no traceback keeps them."""
        if request.future.done():
            return
        self._admission.leave(request)
        if not isinstance(error, RequestError):
            log.error("request %s failed", request.id, exc_info=error)
            error = GenerationFailed(
                "The model failed on this request; other requests are unharmed.",
                None,
                "generation_failed",
            )
        request.future.set_exception(_without_frames(error))

    @property
    def _loaded(self) -> Family:
        if self._family is None:
            raise AssertionError("nothing is asked of the family before it is loaded")
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
