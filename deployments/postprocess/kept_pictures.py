"""What can be done with a kept picture: fetch it, read of it, finish it in another way.

A picture that is damaged or gone raises NotFound.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from sys import maxsize
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deployments.errors import NotFound
from deployments.handover import Given
from deployments.postprocess.adopt_images import kept_files
from deployments.postprocess.design import Brand
from deployments.postprocess.files import encode, facts, inspect
from deployments.postprocess.finish import NO_BRANDS, Finisher, finish_picture, since
from deployments.postprocess.intake import IntakeLimits, Segmenter, fit_upload
from deployments.postprocess.job import Clean, Job
from deployments.postprocess.keep_first import as_pixels
from deployments.postprocess.library import Library, Record
from deployments.postprocess.placing import NoOtherPlace
from deployments.postprocess.schema import (
    MEDIA_TYPES,
    File,
    FinishSpec,
    KeptVariant,
    Output,
    is_id,
)

PNG = Output("png")
UNLIMITED = IntakeLimits(max_bytes=maxsize, max_pixels=maxsize)  # they are our own files


def find(picture_id: str, library: Library) -> Record:
    """A picture's record."""
    record = library.record(picture_id)
    if record is None:
        raise _missing(picture_id)
    return record


def forget(picture_id: str, library: Library) -> None:
    """Remove a picture for good."""
    if not library.remove(picture_id):
        raise _missing(picture_id)


def take_up(picture_id: str, spec: FinishSpec, library: Library) -> Job:
    """A kept picture, to be finished in another way under ids of its own. Raises NotFound."""
    began = time.perf_counter()
    record = find(picture_id, library)
    drawing = record.drawing
    data = {record.clean: _file(record, library)}
    given = {name: file for name in drawing.given if (file := library.file(name))}
    if len(given) < len(drawing.given):
        drawing = drawing.model_copy(update={"source": None, "mask": None, "references": ()})
    else:
        data |= given
    spec = replace(spec, prompt_in_file=spec.prompt_in_file and record.prompt_in_file)
    pixels = as_pixels(record.clean, data[record.clean], library)
    clean = Clean(drawing, [pixels], [record.seed], [record.clean], data)
    return Job(clean, spec, library, {}, {"recall": since(began)}, cached=True)


def final_file(
    picture_id: str,
    library: Library,
    brands: Mapping[str, Brand] = NO_BRANDS,
    finish: Finisher = finish_picture,
) -> File:
    """The advert as it was delivered, by `finish`. Raises NotFound, and what that raises.

    It is made anew: the same record gives the same bytes.
    """
    record = find(picture_id, library)
    images = kept_files(record.overlay, library)
    if images is None:
        raise _missing(picture_id)
    try:
        made = finish(
            _pixels(record, library),
            record.overlay,
            record.placement,
            record.output,
            record.file_facts,
            brands,
            images=images,
            extension=record.extension,
            layout=record.layout,
        )
    except NoOtherPlace:  # an earlier version found one
        raise _missing(picture_id) from None
    return File(made.data, made.media_type)


def clean_file(picture_id: str, library: Library) -> File:
    """The clean picture as a PNG. Raises NotFound."""
    record = find(picture_id, library)
    bare = record.model_copy(
        update={
            "overlay": None,
            "placement": None,
            "extension": "auto",
            "layout": 0,
            "output": PNG,
        }
    )
    return File(encode(_pixels(record, library), PNG, bare.file_facts), MEDIA_TYPES[PNG.format])


def file_of(kept: KeptVariant, library: Library | None) -> bytes:
    """The file of a kept picture, without its mask. Raises NotFound."""
    if library is None:
        raise _missing(kept.image_id)
    record = find(kept.image_id, library)
    if kept.variant == "clean":
        return _file(record, library)
    drawing = record.drawing
    if kept.variant == "source":
        name, what = drawing.source, "The picture"
    else:
        name = dict(enumerate(drawing.references, 1)).get(kept.number)
        what = f"Reference {kept.number}"
    file = library.file(name) if name else None
    if file is None:
        raise NotFound(
            f"{what} that {kept.image_id} was drawn from is not kept: it is no edit, or "
            "it is gone.",
            "references" if kept.variant == "reference" else "image",
            "source_not_found",
        )
    return file


def fit_kept(
    kept: KeptVariant,
    width: int | None,
    height: int | None,
    fit: Literal["crop", "pad"],
    sizes: Sequence[tuple[int, int]],
    library: Library,
    keep: Literal["subject"] | None = None,
    segmenter: Segmenter | None = None,
) -> Given:
    """A kept picture as if it were uploaded; what an edit started from with its mask. Raises
    NotFound, and what `fit_upload` raises."""
    picture = file_of(kept, library)
    mask = find(kept.image_id, library).drawing.mask if kept.variant == "source" else None
    repainted = library.file(mask) if mask else None
    if mask and repainted is None:
        raise NotFound(
            f"The mask that {kept.image_id} was drawn with is not kept any more.",
            "image",
            "source_not_found",
        )
    return fit_upload(picture, repainted, width, height, fit, sizes, UNLIMITED, keep, segmenter)


def inspect_file(data: bytes, library: Library | None) -> dict[str, Any]:
    """What a file says, by the names of Inspection's fields, and `kept`: whether its picture is.

    What the file leaves out of its making, the record of a kept picture adds. Raises what
    `inspect` raises.
    """
    says = asdict(inspect(data))
    picture_id = says["making"].get("id", "")
    record = library.record(picture_id) if library and is_id(picture_id) else None
    if record is not None:
        says["making"] = {**facts.values(record.facts), **says["making"]}
    return {**says, "kept": record is not None}


def _pixels(record: Record, library: Library) -> NDArray[np.uint8]:
    return as_pixels(record.clean, _file(record, library), library)


def _file(record: Record, library: Library) -> bytes:
    data = library.file(record.clean)
    if data is None:
        raise _missing(record.id)
    return data


def _missing(picture_id: str) -> NotFound:
    return NotFound(f"There is no picture {picture_id} here.", None, "image_not_found")
