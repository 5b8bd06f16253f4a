"""Clean pictures on their way: kept before anything else, then finished; or found instead of drawn.

A job is begun, the tasks of it make its files, and it is concluded. A library that fails costs a
warning or a miss, never a picture.
"""

import io
import logging
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.handover import Drawn, Given
from deployments.postprocess.files import encode
from deployments.postprocess.finish import since
from deployments.postprocess.job import Clean, Job, with_missing_said
from deployments.postprocess.library import Drawing, Library, Record, Result, digest
from deployments.postprocess.schema import Delivery, Finished, FinishSpec, Output, Part, created_s

log = logging.getLogger(__name__)

LOSSLESS = Output("webp")  # two thirds of a PNG's time, and smaller
NOT_KEPT = "the picture could not be kept: it is in this answer alone"


def begin(drawn: Drawn, spec: FinishSpec, given: Given | None, library: Library | None) -> Job:
    """Keep what was drawn, and the pictures it was drawn from, to be finished as `spec` says."""
    drawing = Drawing(
        facts=dict(spec.metadata),
        asked=dict(spec.asked),
        steps_executed=drawn.steps_executed,
        warnings=drawn.warnings,
        tokens=drawn.tokens,
    )
    pixels = list(drawn.pictures)
    timings = dict(drawn.timings_ms)
    if library is None:
        return Job(Clean(drawing, pixels, drawn.seeds), spec, None, {}, timings)
    began = time.perf_counter()
    pictures = [_as_file(picture) for picture in pixels]
    names = [digest(picture) for picture in pictures]
    data = dict(zip(names, pictures, strict=True))
    if given is not None and given.picture is not None:
        source = _as_file(given.picture)
        drawing = drawing.model_copy(update={"source": digest(source)})
        data[digest(source)] = source
        if given.mask is not None:
            mask = _as_file(np.repeat(given.mask[..., None], 3, axis=2))
            drawing = drawing.model_copy(update={"mask": digest(mask)})
            data[digest(mask)] = mask
    if given is not None and given.references:
        files = [_as_file(one.picture) for one in given.references]
        references = tuple(map(digest, files))
        drawing = drawing.model_copy(update={"references": references})
        data |= dict(zip(references, files, strict=True))
    clean = Clean(drawing, pixels, drawn.seeds, names, data)
    # What other layouts there are is not known yet; the first ones hold all that was drawn.
    records = [_record(clean, spec, part) for part in spec.parts if part.layout == 0]
    kept = _keep(clean, spec, records, library)
    timings["keep"] = since(began)
    found = {record.id: record for record in records} if kept else {}
    return Job(clean, spec, library if kept else None, found, timings, lost=not kept)


def recall(spec: FinishSpec, library: Library) -> Job | None:
    """What an earlier request with the same key drew, to be finished as `spec` says; None on a
    miss."""
    began = time.perf_counter()
    try:
        found = library.recall(spec.key) if spec.key else None
    except Exception:
        log.exception("the library could not be asked")
        return None
    if found is None:
        return None
    result, data = found
    pixels = [as_pixels(name, data[name], library) for name in result.pictures]
    clean = Clean(result.drawing, pixels, result.seeds, result.pictures, data)
    return Job(clean, spec, library, {}, {"recall": since(began)}, cached=True)


def conclude(job: Job, made: Sequence[Finished | None]) -> Delivery:
    """Keep the records of what `made` of the job's tasks, and hand all of it out."""
    files = with_missing_said(job.spec, made)
    timings = dict(job.timings_ms)
    lost = job.lost
    if job.library is not None:
        began = time.perf_counter()
        lost = not _keep_finished(job, files, job.library)
        timings["keep"] = round(timings.get("keep", 0.0) + since(began), 2)
    for _, one in files:
        for stage, milliseconds in one.timings_ms.items():
            timings[stage] = round(timings.get(stage, 0.0) + milliseconds, 2)
    height, width = job.clean.pixels[0].shape[:2]
    drawing = job.clean.drawing
    return Delivery(
        ids=tuple(part.id for part, _ in files),
        pictures=tuple(one for _, one in files),
        drawn=tuple(part.picture for part, _ in files),
        seeds=tuple(job.clean.seeds[part.picture] for part, _ in files),
        drawn_size=(width, height),
        steps=drawing.asked.get("num_inference_steps", drawing.steps_executed),
        steps_executed=drawing.steps_executed,
        timings_ms=timings,
        warnings=(*drawing.warnings, NOT_KEPT) if lost else drawing.warnings,
        style=drawing.asked.get("style"),
        styles=tuple(drawing.asked.get("styles") or ()),
        cached=job.cached,
        kept=job.library is not None and not lost,
        tokens=drawing.tokens,
    )


def as_pixels(name: str, file: bytes, library: Library) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), read-only, of a kept file and its name."""

    def decode() -> NDArray[np.uint8]:
        with Image.open(io.BytesIO(file), formats=(LOSSLESS.format.upper(),)) as image:
            return np.array(image.convert("RGB"))

    return library.decoded.get(name, decode)


def tidy(library: Library) -> None:
    """Sweep a library that may not be within reach."""
    try:
        library.sweep()
    except Exception:
        log.exception("the library could not be swept")


def _as_file(pixels: NDArray[np.uint8]) -> bytes:
    return encode(pixels, LOSSLESS, {})


def _record(clean: Clean, spec: FinishSpec, part: Part, finished: Finished | None = None) -> Record:
    """Of one file; with what became of the words, once it is finished."""
    height, width = clean.pixels[part.picture].shape[:2]
    return Record(
        id=part.id,
        created=int(created_s(part.id)),
        drawing=clean.drawing,
        seed=clean.seeds[part.picture],
        width=width,
        height=height,
        clean=clean.names[part.picture],
        result=spec.key,
        overlay=spec.overlay,
        placement=part.placement,
        extension=spec.extension,
        layout=part.layout,
        output=spec.output,
        prompt_in_file=spec.prompt_in_file,
        report=finished.report if finished else None,
        warnings=finished.warnings if finished else (),
    )


def _keep_finished(job: Job, files: Sequence[tuple[Part, Finished]], library: Library) -> bool:
    """Keep the records of files, those anew that are there already; whether all are there."""
    records = [_record(job.clean, job.spec, part, one) for part, one in files]
    try:
        for record in records:
            if record.id in job.kept:
                library.renew(job.kept[record.id], record)
    except Exception:
        log.exception("a record could not be completed")
    fresh = [record for record in records if record.id not in job.kept]
    return not fresh or _keep(job.clean, job.spec, fresh, library)


def _keep(clean: Clean, spec: FinishSpec, records: Sequence[Record], library: Library) -> bool:
    """Keep clean pictures and, with a key, the result; whether that went well."""
    objects = {**(clean.data or {}), **spec.images}
    if spec.key is not None:
        result = Result(
            drawing=clean.drawing, pictures=tuple(clean.names), seeds=tuple(clean.seeds)
        )
        objects[spec.key] = result.to_json()
    try:
        library.keep(records, objects)
    except Exception:
        log.exception("pictures could not be kept")
        return False
    return True
