"""Clean pictures on their way: kept before anything else, then finished; or found instead of drawn.

A library that fails costs a warning or a miss, never a picture.
"""

import io
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.handover import Drawn, Fitted
from deployments.postprocess import facts
from deployments.postprocess.delivery import Delivery, FinishSpec
from deployments.postprocess.encode import encode
from deployments.postprocess.finish import Finished, finish
from deployments.postprocess.holdings import digest
from deployments.postprocess.ids import created_s
from deployments.postprocess.library import Drawing, Library, Record, Result
from deployments.postprocess.spec import Output

log = logging.getLogger(__name__)

LOSSLESS = Output("webp")  # two thirds of a PNG's time, and smaller
NOT_KEPT = "the picture could not be kept: it is in this answer alone"


@dataclass(frozen=True, slots=True)
class Clean:
    """The clean pictures of one request. pixels: uint8 (H, W, 3) each, with its seed."""

    drawing: Drawing
    pixels: Sequence[NDArray[np.uint8]]
    seeds: Sequence[int]


@dataclass(frozen=True, slots=True)
class Files:
    """The same as files. pictures: their names in the library; data: by name, a source's too."""

    pictures: Sequence[str]
    data: Mapping[str, bytes]


def deliver(
    drawn: Drawn, spec: FinishSpec, given: Fitted | None, library: Library | None
) -> Delivery:
    """Keep what was drawn, and the picture it was drawn from, then finish it as `spec` says.

    Raises what `finish` raises; the clean pictures are kept then as well.
    """
    drawing = Drawing(
        facts=dict(spec.metadata),
        asked=dict(spec.asked),
        steps_executed=drawn.steps_executed,
        warnings=drawn.warnings,
    )
    pixels = list(drawn.pictures)
    timings = dict(drawn.timings_ms)
    if library is None:
        clean = Clean(drawing, pixels, drawn.seeds)
        return _delivery(clean, spec, _finish(clean, spec), timings)
    began = time.perf_counter()
    pictures = [_as_file(picture) for picture in pixels]
    names = [digest(picture) for picture in pictures]
    data = dict(zip(names, pictures, strict=True))
    if given is not None:
        source = _as_file(given.picture)
        drawing = drawing.model_copy(update={"source": digest(source)})
        data[digest(source)] = source
        if given.mask is not None:
            mask = _as_file(_as_picture(given.mask))
            drawing = drawing.model_copy(update={"mask": digest(mask)})
            data[digest(mask)] = mask
    clean = Clean(drawing, pixels, drawn.seeds)
    records = _keep(clean, Files(names, data), spec, library)
    timings["keep"] = since(began)
    finished = _finish(clean, spec)
    _renew(records, finished, library)
    return _delivery(clean, spec, finished, timings, lost=not records)


def recall(spec: FinishSpec, library: Library) -> Delivery | None:
    """What an earlier request with the same key drew, finished as `spec` says; None on a miss.

    Raises what `finish` raises.
    """
    began = time.perf_counter()
    try:
        found = library.recall(spec.key) if spec.key else None
    except Exception:
        log.exception("the library could not be asked")
        return None
    if found is None:
        return None
    result, data = found
    clean = Clean(result.drawing, [as_pixels(data[name]) for name in result.pictures], result.seeds)
    return hand_out(clean, Files(result.pictures, data), spec, library, began)


def hand_out(
    clean: Clean, files: Files, spec: FinishSpec, library: Library, began: float
) -> Delivery:
    """Finish pictures that are kept already, and keep them under the ids of `spec` too.

    began: when they were first looked for, by time.perf_counter. Raises what `finish` raises.
    """
    timings = {"recall": since(began)}
    finished = _finish(clean, spec)
    began = time.perf_counter()
    records = _keep(clean, files, spec, library, finished)
    timings["keep"] = since(began)
    return _delivery(clean, spec, finished, timings, cached=True, lost=not records)


def as_pixels(file: bytes) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) of a kept file."""
    with Image.open(io.BytesIO(file), formats=(LOSSLESS.format.upper(),)) as image:
        return np.array(image.convert("RGB"))


def tidy(library: Library) -> None:
    """Sweep a library that may not be within reach."""
    try:
        library.sweep()
    except Exception:
        log.exception("the library could not be swept")


def since(began: float) -> float:
    """Milliseconds since `began` of time.perf_counter."""
    return round((time.perf_counter() - began) * 1e3, 2)


def _as_file(pixels: NDArray[np.uint8]) -> bytes:
    return encode(pixels, LOSSLESS, {})


def _as_picture(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """White where to repaint, black elsewhere, as an upload may have it."""
    return np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)


def _finish(clean: Clean, spec: FinishSpec) -> tuple[Finished, ...]:
    finished = (
        finish(
            pixels,
            spec.overlay,
            spec.placement,
            spec.output,
            _facts(clean.drawing, spec, picture_id, seed),
            spec.images,
        )
        for pixels, picture_id, seed in zip(clean.pixels, spec.ids, clean.seeds, strict=True)
    )
    return tuple(replace(one, warnings=(*spec.warnings, *one.warnings)) for one in finished)


def _facts(drawing: Drawing, spec: FinishSpec, picture_id: str, seed: int) -> dict[str, str]:
    """What the file of one picture says."""
    whole = facts.of_picture(
        drawing.facts, drawing.asked, picture_id, seed, spec.overlay, spec.placement, spec.output
    )
    return whole if spec.prompt_in_file else facts.without_prompts(whole)


def _keep(
    clean: Clean,
    files: Files,
    spec: FinishSpec,
    library: Library,
    finished: Sequence[Finished] = (),
) -> list[Record]:
    """Keep clean pictures and, with a key, the result; their records, none where that failed."""
    objects = {**files.data, **spec.images}
    if spec.key is not None:
        result = Result(
            drawing=clean.drawing, pictures=tuple(files.pictures), seeds=tuple(clean.seeds)
        )
        objects[spec.key] = result.to_json()
    records = [
        Record(
            id=picture_id,
            created=int(created_s(picture_id)),
            drawing=clean.drawing,
            seed=seed,
            width=pixels.shape[1],
            height=pixels.shape[0],
            clean=name,
            result=spec.key,
            overlay=spec.overlay,
            placement=spec.placement,
            output=spec.output,
            prompt_in_file=spec.prompt_in_file,
        )
        for picture_id, seed, pixels, name in zip(
            spec.ids, clean.seeds, clean.pixels, files.pictures, strict=True
        )
    ]
    try:
        records = _completed(records, finished) if finished else records
        library.keep(records, objects)
    except Exception:
        log.exception("pictures could not be kept")
        return []
    return records


def _renew(records: Sequence[Record], finished: Sequence[Finished], library: Library) -> None:
    try:
        for old, new in zip(records, _completed(records, finished), strict=True):
            library.renew(old, new)
    except Exception:
        log.exception("a record could not be completed")


def _completed(records: Sequence[Record], finished: Sequence[Finished]) -> list[Record]:
    """The records with what became of the words; none of none."""
    return [
        record.model_copy(update={"report": one.report, "warnings": one.warnings})
        for record, one in zip(records, finished, strict=False)
    ]


def _delivery(
    clean: Clean,
    spec: FinishSpec,
    finished: tuple[Finished, ...],
    timings: dict[str, float],
    *,
    cached: bool = False,
    lost: bool | None = None,
) -> Delivery:
    """lost: whether keeping failed; None where nothing was to be kept."""
    for one in finished:
        for stage, milliseconds in one.timings_ms.items():
            timings[stage] = timings.get(stage, 0.0) + milliseconds
    height, width = clean.pixels[0].shape[:2]
    drawing = clean.drawing
    return Delivery(
        ids=spec.ids,
        pictures=finished,
        seeds=tuple(clean.seeds),
        drawn_size=(width, height),
        steps_executed=drawing.steps_executed,
        timings_ms=timings,
        warnings=(*drawing.warnings, NOT_KEPT) if lost else drawing.warnings,
        style=drawing.asked.get("style"),
        cached=cached,
        kept=lost is False,
    )
