"""What a file says of itself: its marks, its credentials, and the facts of its making."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from deployments.errors import TooLarge, UnsupportedFile
from deployments.postprocess.files import credentials, embedded, facts, xmp
from deployments.postprocess.files.credentials import Credentials
from deployments.postprocess.files.embedded import Embedded
from deployments.postprocess.schema import FORMATS, MEDIA_TYPES

_UNCHECKED = "it has too many parts, or too large ones, for its credentials to be checked"


@dataclass(frozen=True, slots=True)
class Inspection:
    """format: png, jpeg, webp or avif. width, height: pixels. making: facts as values, by name.

    digital_source_type: IPTC's, None where the file has none. description: the label in words.
    warnings: what could not be read.
    """

    format: str
    width: int
    height: int
    making: Mapping[str, Any]
    digital_source_type: str | None
    description: str | None
    credentials: Credentials | None
    warnings: tuple[str, ...]


def inspect(data: bytes) -> Inspection:
    """Read what a PNG, JPEG, WebP or AVIF file says; its pixels are not decoded.

    In time and memory that grow with the file's size and no faster, whatever it holds. Raises
    UnsupportedFile or TooLarge with param "image".
    """
    try:
        found = embedded.find(data)
        with Image.open(io.BytesIO(found.bare), formats=FORMATS) as image:
            kind, (width, height) = str(image.format).lower(), image.size
    except Image.DecompressionBombError:
        raise TooLarge(
            "The image declares far too many pixels.", "image", "too_many_pixels"
        ) from None
    except Exception as fault:  # decoders raise what they like on hostile bytes
        raise UnsupportedFile(
            "The image is no PNG, JPEG, WebP or AVIF file, or a damaged one.",
            "image",
            "unsupported_file",
        ) from fault
    marks = xmp.of_embedded(found)
    warnings = marks.warnings
    try:
        making = facts.values(marks.facts)
    except ValueError as error:
        making, warnings = {}, (*warnings, f"{error}; none was read")
    signed, doubts = _credentials(data, found, kind)
    return Inspection(
        format=kind,
        width=width,
        height=height,
        making=making,
        digital_source_type=marks.source_type,
        description=marks.description,
        credentials=signed,
        warnings=(*warnings, *doubts),
    )


def _credentials(
    data: bytes, found: Embedded, kind: str
) -> tuple[Credentials | None, tuple[str, ...]]:
    """The file's credentials, and a warning where there are some that cannot be checked."""
    if not found.manifests:
        return None, ()
    if not found.is_checkable:
        return None, (_UNCHECKED,)
    return credentials.read(data, MEDIA_TYPES[kind]), ()
