"""When a request should be done: from its place and the work on its way. Pure numbers."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from deployments.diffusion.engine.scheduler import StepScheduler
from deployments.diffusion.request import CostModel, Priority, Progress, Request, Row, Work


def progress(request: Request, scheduler: StepScheduler[Request, Row], cost: CostModel) -> Progress:
    """How far the request is, and when it should be done.

    Requests of its priority take their steps in turns, and the head of the queue joins them as
    soon as it fits. A bulk request is delayed by all interactive ones, too.
    """
    queue = [other for other in scheduler.waiting if other.priority == request.priority]
    rows = (*scheduler.running, *scheduler.decoding, *request.rows)
    beside = dict.fromkeys(row.request for row in rows if row.priority == request.priority)
    eta_s = _end_s(request, beside, queue, scheduler.limits.max_running, cost)
    before = queue[: queue.index(request)] if request in queue else []
    if request.priority == "bulk":
        eta_s += cost.seconds(work_before(scheduler, "interactive"))
        before += [other for other in scheduler.waiting if other.priority == "interactive"]
    if not request.rows:
        return Progress(0, None, sum(other.places for other in before), eta_s)
    slowest = min(request.rows, key=lambda row: row.steps_done)
    return Progress(slowest.steps_done, slowest.all_steps, 0, eta_s)


def work_before(scheduler: StepScheduler[Request, Row], priority: Priority) -> Work:
    """The work that a newcomer of `priority` finds before it."""
    ahead = ("interactive",) if priority == "interactive" else ("interactive", "bulk")
    rows = (*scheduler.running, *scheduler.decoding)
    works = [row.work for row in rows if row.priority in ahead]
    works += [one.work.times(one.places) for one in scheduler.waiting if one.priority in ahead]
    return sum(works, Work())


@dataclass(slots=True)
class _Turns:
    """What is left of a request. step_s: seconds that a step of all its rows takes, their decodes
    spread over the steps. places: running ones that it keeps from others.
    """

    request: Request
    steps: int
    step_s: float
    places: int


def _turns(request: Request, cost: CostModel) -> _Turns:
    if request.rows:
        steps = max(row.all_steps - row.steps_done for row in request.rows)
        places = sum(row.returns or not row.denoised for row in request.rows)
    else:
        steps, places = sum(one.steps for one in request.passes), request.places
    steps = max(1, steps)
    return _Turns(request, steps, cost.seconds(request.remaining) / steps, places)


def _end_s(
    request: Request,
    beside: Iterable[Request],
    queue: Iterable[Request],
    most: int,
    cost: CostModel,
) -> float:
    """Seconds until `request` is done. most: places; it is on the device, or in the queue."""
    if request.rows and all(row.steps_done == row.all_steps for row in request.rows):
        return cost.seconds(request.remaining)  # a decode waits for nobody's steps
    running = [_turns(other, cost) for other in beside]
    waiting = deque(_turns(other, cost) for other in queue)
    end_s = 0.0
    while True:
        places = sum(one.places for one in running)
        while waiting and (places == 0 or places + waiting[0].places <= most):
            running.append(waiting.popleft())
            places += running[-1].places
        steps = min(one.steps for one in running)
        end_s += steps * sum(one.step_s for one in running)
        for one in running:
            one.steps -= steps
        if any(one.request is request and one.steps == 0 for one in running):
            return end_s
        running = [one for one in running if one.steps]
