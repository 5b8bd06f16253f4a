"""What the callers' threads and the device thread share: the queue, the requests, the phase.

One lock guards it all and is never held while the model runs. Only the device thread takes requests
out of the queue and resolves their futures; callers submit, cancel and read. When that thread is
dead or stuck, whoever finds it so gives up in its place.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from deployments.diffusion.engine import forecast
from deployments.diffusion.engine.scheduler import StepScheduler
from deployments.diffusion.engine.state import COMING, NEXT, SERVING, Phase, QueueState
from deployments.diffusion.profile import DiffusionProfile, EngineLimits
from deployments.diffusion.request import CostModel, Priority, Progress, Request, Row
from deployments.errors import InvalidValue, Overloaded, ReplicaDown
from deployments.handover import Drawn

log = logging.getLogger(__name__)

IDLE_BEAT_S = 1.0  # an idle device thread wakes this often, so that its heartbeat is always young
MAX_ERRANDS = 32
BESIDE_S = 0.05  # one that waits for a decode beside it wakes this often, for deadlines and cancels

T = TypeVar("T")


class Errand(NamedTuple):
    """Something that the device thread is to do between two steps, and who waits for it."""

    work: Callable[[], Any]
    done: Future[Any]


class Admission:
    """Who is let in, who waits, who is on the device."""

    def __init__(self, profile: DiffusionProfile) -> None:
        self.cost = CostModel()
        self._lock = threading.Condition()
        self._scheduler: StepScheduler[Request, Row] = StepScheduler(profile.engine)
        self._requests: dict[str, Request] = {}
        self._errands: deque[Errand] = deque()
        self._most_tokens: int | None = None
        self._phase: Phase = "loading"
        self._reason: str | None = None
        self.settled: Future[None] = Future()
        """Done once the first load has ended, well or not."""

    # Any thread ------------------------------------------------------------------------------

    def require_ready(self) -> None:
        """Raise ReplicaDown, saying what is missing, where no request is taken."""
        with self._lock:
            self._require_serving()

    def submit(self, request: Request) -> Future[Drawn]:
        """QueueState the request.

        Raises ReplicaDown where no request is taken, Overloaded when it finds no place now or would
        be late, InvalidValue when it could never find one.
        """
        with self._lock:
            self._require_serving()
            if request.id in self._requests:
                raise ValueError(f"request {request.id} is already on its way")
            places = self._scheduler.places(request.priority)
            if request.places > places:
                raise InvalidValue(
                    f"n: {request.places} pictures are more than the queue's {places} places",
                    "n",
                    "n_out_of_range",
                )
            self._require_in_time(request)
            if not self._scheduler.submit(request):
                share = request.places / self._scheduler.held
                raise Overloaded(
                    f"The queue is full ({places} pictures for {request.priority} work); "
                    "try again later.",
                    None,
                    "queue_full",
                    self._busy_s("bulk") * share,
                )
            request.future.set_running_or_notify_cancel()  # from here on only the engine ends it
            self._requests[request.id] = request
            self._lock.notify()
        return request.future

    def send(self, work: Callable[[], T]) -> Future[T]:
        """Have the device thread do something between two steps; a sleeping model wakes for it.

        Raises ReplicaDown where no request is taken, Overloaded where too much waits already.
        """
        done: Future[T] = Future()
        with self._lock:
            self._require_serving()
            if len(self._errands) >= MAX_ERRANDS:
                message = "The model has too much else to do; try again later."
                raise Overloaded(message, None, "errands_full", IDLE_BEAT_S)
            self._errands.append(Errand(work, done))
            self._lock.notify()
        return done

    def cancel(self, request_id: str) -> None:
        """Flag a request; an id that is not known is done already."""
        with self._lock:
            request = self._requests.get(request_id)
            if request is not None:
                request.cancelled.set()
                self._lock.notify()

    def retune(self, limits: EngineLimits) -> None:
        """Change the bounds and the budget; what is let in already stays."""
        with self._lock:
            self._scheduler.limits = self._within_memory(limits)
            self._lock.notify()

    def limit_forwards(self, tokens: int) -> None:
        """What the device's memory allows a forward, now and after every change."""
        with self._lock:
            self._most_tokens = tokens
            self._scheduler.limits = self._within_memory(self._scheduler.limits)

    def enter(self, phase: Phase, reason: str | None = None) -> None:
        """Begin a phase of the engine's life, or tell another reason for the one it is in.

        What may not follow (`NEXT`) changes nothing.
        """
        with self._lock:
            self._enter(phase, reason)
            self._lock.notify()

    def give_up(self, reason: str) -> None:
        """Fail everything on its way, since the device thread will not; take nothing any more."""
        with self._lock:
            self._enter("failed", reason)
            given_up = [request.future for request in self._requests.values()]
            given_up += [errand.done for errand in self._errands]
            self._requests.clear()
            self._errands.clear()
            self._lock.notify()
        for future in given_up:
            with suppress(InvalidStateError):  # the thread may have come back this very moment
                future.set_exception(ReplicaDown("The engine has failed.", None, "stopped"))

    def wake(self) -> None:
        """Have a device thread that waits look again."""
        with self._lock:
            self._lock.notify()

    def queue(self) -> QueueState:
        """A snapshot of the phase and the queue."""
        with self._lock:
            scheduler = self._scheduler
            return QueueState(
                phase=self._phase,
                reason=self._reason,
                running=len(scheduler.running),
                decoding=len(scheduler.decoding),
                waiting=sum(request.places for request in scheduler.waiting),
                max_running=scheduler.limits.max_running,
                max_waiting=scheduler.limits.max_waiting,
                busy_s=self._busy_s("bulk"),
            )

    # The device thread -----------------------------------------------------------------------

    def serving(self) -> bool:
        """Wait for work, a while at most; False once the engine is to end."""
        with self._lock:
            if not self._requests and not self._errands and self._phase in SERVING:
                self._lock.wait(IDLE_BEAT_S)
            return self._phase in SERVING

    def wait_beside(self, done: Callable[[], bool]) -> None:
        """Wait, a while at most, until `done` or anything else can be gone on with.

        Whoever makes `done` true calls `wake` then.
        """
        with self._lock:
            self._lock.wait_for(lambda: done() or self._scheduler.busy, BESIDE_S)

    def pause(self, seconds: float) -> bool:
        """Wait that long; False as soon as the engine is to end."""
        with self._lock:
            return not self._lock.wait_for(lambda: self._phase == "draining", seconds)

    def requests(self) -> list[Request]:
        """Everything on its way."""
        with self._lock:
            return list(self._requests.values())

    def errands(self) -> list[Errand]:
        """What is to be done between two steps, taken out."""
        with self._lock:
            errands = list(self._errands)
            self._errands.clear()
        return errands

    def worn(self) -> set[str]:
        """Digests of the added styles that requests on their way wear."""
        mixes = [request.mix for request in self.requests()]
        return {worn.digest for mix in mixes for worn in mix if worn.digest is not None}

    def shared(self) -> bool:
        """Whether several requests want the device now; what is bulk only where nothing else is."""
        with self._lock:
            priorities = Counter(request.priority for request in self._requests.values())
        return (priorities["interactive"] or priorities["bulk"]) > 1

    def admit(self) -> Request | None:
        """The next request that may run now."""
        with self._lock:
            return self._scheduler.admit()

    def progress(self, request: Request) -> Progress:
        """How far the request is, and when it should be done."""
        with self._lock:
            return forecast.progress(request, self._scheduler, self.cost)

    def run(self, rows: list[Row]) -> None:
        """Let the rows of an admitted request be stepped."""
        with self._lock:
            self._scheduler.run(rows)

    def next_batch(self) -> list[Row]:
        """The rows of the next forward."""
        with self._lock:
            return self._scheduler.next_batch()

    def to_decoder(self, row: Row) -> None:
        """A row has no step left."""
        with self._lock:
            self._scheduler.to_decoder(row)

    def next_decodes(self) -> list[Row]:
        """The rows to decode before the next forward."""
        with self._lock:
            return self._scheduler.next_decodes()

    def leave(self, request: Request) -> None:
        """Take the request out of every list; from here on nothing refers to its tensors."""
        with self._lock:
            self._scheduler.release(request, request.rows)
            del self._requests[request.id]
        request.rows.clear()  # request and rows refer to each other: free the tensors now

    def fail(self, request: Request, error: Exception) -> None:
        """End the request with an error, unless it has ended."""
        if not request.future.done():
            self.leave(request)
            request.future.set_exception(error)

    # Under the lock --------------------------------------------------------------------------

    def _enter(self, phase: Phase, reason: str | None) -> None:
        if phase == self._phase or phase in NEXT[self._phase]:
            self._phase, self._reason = phase, reason
            log.info("engine %s%s", phase, f": {reason}" if reason else "")
        if self._phase not in COMING and not self.settled.done():
            self.settled.set_result(None)

    def _within_memory(self, limits: EngineLimits) -> EngineLimits:
        if self._most_tokens is None or limits.token_budget <= self._most_tokens:
            return limits
        return limits.model_copy(update={"token_budget": self._most_tokens})

    def _require_serving(self) -> None:
        if self._phase not in SERVING:
            reason = f": {self._reason}" if self._reason else ""
            message = f"The model is {self._phase}{reason}."
            raise ReplicaDown(message, None, f"model_{self._phase}")

    def _require_in_time(self, request: Request) -> None:
        deadline_s = request.terms.deadline_s
        if deadline_s is None:
            return
        own_s = self.cost.seconds(request.work.times(request.places))
        total_s = self._busy_s(request.priority) + own_s
        if total_s > deadline_s:
            raise Overloaded(
                f"deadline_s: the answer is predicted in {total_s:.1f} s, {own_s:.1f} s for this "
                f"request alone; allow more than {deadline_s:g} s, or try again later",
                "deadline_s",
                "deadline_unreachable",
                total_s - deadline_s,
            )

    def _busy_s(self, priority: Priority) -> float:
        """Seconds of device work that a newcomer of `priority` finds before it."""
        return self.cost.seconds(forecast.work_before(self._scheduler, priority))
