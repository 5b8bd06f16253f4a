"""What can be done with a kept picture: fetch it, read of it, finish it in another way.

A picture that is damaged or gone raises NotFound.
"""

import time

import numpy as np
from numpy.typing import NDArray

from deployments.errors import NotFound
from deployments.postprocess.alternatives import NoOtherPlace
from deployments.postprocess.delivery import File, FinishSpec
from deployments.postprocess.encode import MEDIA_TYPES, encode
from deployments.postprocess.finish import finish
from deployments.postprocess.keeping import Clean, Job, as_pixels, since
from deployments.postprocess.library import Library, Record
from deployments.postprocess.spec import Output

PNG = Output("png")


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
    source = library.file(drawing.source) if drawing.source else None
    if drawing.source and source:
        data[drawing.source] = source
    else:
        drawing = drawing.model_copy(update={"source": None})
    pixels = as_pixels(record.clean, data[record.clean], library)
    clean = Clean(drawing, [pixels], [record.seed], [record.clean], data)
    return Job(clean, spec, library, {}, {"recall": since(began)}, cached=True)


def final_file(picture_id: str, library: Library) -> File:
    """The advert as it was delivered. Raises NotFound, and what `finish` raises.

    It is made anew: the same record gives the same bytes.
    """
    record = find(picture_id, library)
    try:
        made = finish(
            _pixels(record, library),
            record.overlay,
            record.placement,
            record.output,
            record.facts,
            extension=record.extension,
            layout=record.layout,
        )
    except NoOtherPlace:  # an earlier version found one
        raise _missing(picture_id) from None
    return File(made.data, made.media_type)


def clean_file(picture_id: str, library: Library) -> File:
    """The clean picture as a PNG. Raises NotFound."""
    record = find(picture_id, library)
    return File(encode(_pixels(record, library), PNG, record.facts)[0], MEDIA_TYPES[PNG.format])


def _pixels(record: Record, library: Library) -> NDArray[np.uint8]:
    return as_pixels(record.clean, _file(record, library), library)


def _file(record: Record, library: Library) -> bytes:
    data = library.file(record.clean)
    if data is None:
        raise _missing(record.id)
    return data


def _missing(picture_id: str) -> NotFound:
    return NotFound(f"There is no picture {picture_id} here.", None, "image_not_found")
