"""When a request should be done: from its place and the work on its way. Pure numbers."""

from collections.abc import Iterable

from deployments.diffusion.engine.scheduler import StepScheduler
from deployments.diffusion.request import CostModel, Priority, Progress, Request, Row, Work


def progress(request: Request, scheduler: StepScheduler[Request, Row], cost: CostModel) -> Progress:
    """How far the request is, and when it should be done.

    It is delayed by all that goes before it. With what runs, or will run, beside it, it takes
    turns: each such row delays it by what is left of the shorter of the two, and no more of them
    than run at once.
    """
    own_s = cost.seconds(request.remaining)
    priority, waiting = request.priority, list(scheduler.waiting)
    waits = request in waiting
    place = waiting.index(request) if waits else -1
    before = [other for other in waiting[: max(place, 0)] if other.priority == priority]
    if priority == "bulk":
        before += [other for other in waiting if other.priority == "interactive"]
    behind = [other for other in waiting[place + 1 :] if other.priority == priority]
    others = [row for row in _on_device(scheduler, priority) if row.request is not request]
    first = [row.work for row in others if waits or row.priority != priority]
    first += map(_whole, before)
    beside = [row.work for row in others if not waits and row.priority == priority]
    beside += [other.work for other in behind for _ in range(other.places)]
    row_s = own_s / request.places
    turns_s = sum(min(row_s, cost.seconds(work)) for work in beside)
    room = max(0, scheduler.limits.max_running - request.places)
    eta_s = own_s + cost.seconds(_total(first)) + min(turns_s, row_s * room)
    if not request.rows:
        return Progress(0, None, sum(other.places for other in before), eta_s)
    slowest = min(request.rows, key=lambda row: row.steps_done)
    return Progress(slowest.steps_done, slowest.all_steps, 0, eta_s)


def work_before(scheduler: StepScheduler[Request, Row], priority: Priority) -> Work:
    """The work that a newcomer of `priority` finds before it."""
    waiting = (_whole(r) for r in scheduler.waiting if r.priority in _not_after(priority))
    return _total(row.work for row in _on_device(scheduler, priority)) + _total(waiting)


def _on_device(scheduler: StepScheduler[Request, Row], priority: Priority) -> list[Row]:
    """Rows that go before or beside those of `priority`."""
    rows = (*scheduler.running, *scheduler.decoding)
    return [row for row in rows if row.priority in _not_after(priority)]


def _not_after(priority: Priority) -> tuple[Priority, ...]:
    """The priorities that go before or beside `priority`."""
    return ("interactive",) if priority == "interactive" else ("interactive", "bulk")


def _whole(request: Request) -> Work:
    return request.work.times(request.places)


def _total(works: Iterable[Work]) -> Work:
    return sum(works, Work())
