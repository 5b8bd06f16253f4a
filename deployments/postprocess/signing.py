"""What goes out, signed: last of all, since a signature holds for the bytes as they are."""

import logging
import time
from dataclasses import replace

from deployments.postprocess.credentials import Signatory, SigningFailed
from deployments.postprocess.delivery import Delivery, File

log = logging.getLogger(__name__)

UNSIGNED = "the file could not be signed: it carries no credentials"


def sign_all(delivery: Delivery, signatory: Signatory | None) -> Delivery:
    """The same with every file signed; one that cannot be goes out all the same, with a warning."""
    if signatory is None:
        return delivery
    began = time.perf_counter()
    pictures = []
    for picture in delivery.pictures:
        file, failed = _try(File(picture.data, picture.media_type), signatory)
        warnings = (*picture.warnings, UNSIGNED) if failed else picture.warnings
        pictures.append(replace(picture, data=file.data, warnings=warnings))
    timings = {**delivery.timings_ms, "sign": round((time.perf_counter() - began) * 1e3, 2)}
    return replace(delivery, pictures=tuple(pictures), timings_ms=timings)


def sign_one(file: File, signatory: Signatory | None) -> File:
    """The same file signed, or as it is where that fails."""
    return file if signatory is None else _try(file, signatory)[0]


def _try(file: File, signatory: Signatory) -> tuple[File, bool]:
    """The file, and whether it could not be signed."""
    try:
        return replace(file, data=signatory.sign(file.data, file.media_type)), False
    except SigningFailed:
        log.exception("a file could not be signed")
        return file, True
