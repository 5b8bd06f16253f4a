"""Jobs done at once, as the deployment does them on its workers."""

from deployments.handover import Drawn, Fitted
from deployments.postprocess import keeping, kept
from deployments.postprocess.delivery import Delivery, FinishSpec
from deployments.postprocess.job import Job
from deployments.postprocess.library import Library


def deliver(
    drawn: Drawn, spec: FinishSpec, given: Fitted | None, library: Library | None
) -> Delivery:
    return done(keeping.begin(drawn, spec, given, library))


def recall(spec: FinishSpec, library: Library) -> Delivery | None:
    job = keeping.recall(spec, library)
    return None if job is None else done(job)


def finish_kept(picture_id: str, spec: FinishSpec, library: Library) -> Delivery:
    return done(kept.take_up(picture_id, spec, library))


def done(job: Job) -> Delivery:
    return keeping.conclude(job, [task() for task in job.tasks()])
