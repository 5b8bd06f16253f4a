"""Jobs done at once, as the deployment does them on its workers."""

from deployments.handover import Drawn, Given
from deployments.postprocess import keep_first, kept_pictures
from deployments.postprocess.job import Job
from deployments.postprocess.library.library import Library
from deployments.postprocess.schema.delivery import Delivery, FinishSpec


def deliver(
    drawn: Drawn, spec: FinishSpec, given: Given | None, library: Library | None
) -> Delivery:
    return done(keep_first.begin(drawn, spec, given, library))


def recall(spec: FinishSpec, library: Library) -> Delivery | None:
    job = keep_first.recall(spec, library)
    return None if job is None else done(job)


def finish_kept(picture_id: str, spec: FinishSpec, library: Library) -> Delivery:
    return done(kept_pictures.take_up(picture_id, spec, library))


def done(job: Job) -> Delivery:
    return keep_first.conclude(job, [task() for task in job.tasks()])
