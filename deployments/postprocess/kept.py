"""What can be done with a kept picture: fetch it, read of it, finish it in another way.

A picture that is damaged or gone raises NotFound.
"""

import time

from deployments.errors import NotFound
from deployments.postprocess.adoption import kept_files
from deployments.postprocess.delivery import Delivery, File, FinishSpec
from deployments.postprocess.encode import MEDIA_TYPES, encode
from deployments.postprocess.finish import finish
from deployments.postprocess.keeping import Clean, Files, as_pixels, hand_out
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


def finish_kept(picture_id: str, spec: FinishSpec, library: Library) -> Delivery:
    """A kept picture finished in another way, under an id of its own.

    Raises NotFound, and what `finish` raises.
    """
    began = time.perf_counter()
    record = find(picture_id, library)
    drawing = record.drawing
    data = {record.clean: _file(record, library)}
    source = library.file(drawing.source) if drawing.source else None
    if drawing.source and source:
        data[drawing.source] = source
    else:
        drawing = drawing.model_copy(update={"source": None})
    clean = Clean(drawing, [as_pixels(data[record.clean])], [record.seed])
    return hand_out(clean, Files([record.clean], data), spec, library, began)


def final_file(picture_id: str, library: Library) -> File:
    """The advert as it was delivered. Raises NotFound, and what `finish` raises.

    It is made anew: the same record gives the same bytes.
    """
    record = find(picture_id, library)
    pixels = as_pixels(_file(record, library))
    images = kept_files(record.overlay, library)
    if images is None:
        raise _missing(picture_id)
    made = finish(pixels, record.overlay, record.placement, record.output, record.facts, images)
    return File(made.data, made.media_type)


def clean_file(picture_id: str, library: Library) -> File:
    """The clean picture as a PNG. Raises NotFound."""
    record = find(picture_id, library)
    pixels = as_pixels(_file(record, library))
    return File(encode(pixels, PNG, record.facts)[0], MEDIA_TYPES[PNG.format])


def _file(record: Record, library: Library) -> bytes:
    data = library.file(record.clean)
    if data is None:
        raise _missing(record.id)
    return data


def _missing(picture_id: str) -> NotFound:
    return NotFound(f"There is no picture {picture_id} here.", None, "image_not_found")
