"""How a picture is named: the id of a kept one, a kept file by its hash, or a data URL."""

import base64
import binascii
import re
import secrets
import time
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import unquote

from pydantic import AfterValidator

from deployments.errors import InvalidValue, TooLarge

_START = re.compile(
    r"\s*data:image/(png|jpe?g|webp|avif)(;[^;,]{0,200}){0,8};\s*base64\s*,", re.IGNORECASE
)
DATA_URL_EXPECTED = "a data URL of base64 (data:image/png;base64,...; or jpeg, webp, avif)"
PICTURE_ID = "img_[0-9a-f]{44}"
KEPT = "sha256:"  # before the name of an image that is kept as a file
_REFERENCE = re.compile(rf"{PICTURE_ID}|{KEPT}[0-9a-f]{{64}}")


def is_data_url(text: str) -> bool:
    """Whether `text` begins as one; `read_data_url` tells whether the rest is sound."""
    return _START.match(text) is not None


def _checked(text: str) -> str:
    if not is_data_url(text):
        raise ValueError(f"give {DATA_URL_EXPECTED}")
    return text


@dataclass(frozen=True, slots=True)
class KeptVariant:
    """A kept picture: the clean one, or of an edit what it started from, or one of its references.

    number: of the reference, from 1.
    """

    image_id: str
    variant: Literal["clean", "source", "reference"] = "clean"
    number: int = 1


DataUrl = Annotated[str, AfterValidator(_checked)]


def read_data_url(url: str, field: str, max_bytes: int) -> bytes:
    """The file of a data URL, as browsers take it: white space and padding do not matter, and
    characters may be escaped. Raises TooLarge or InvalidValue naming `field`.
    """
    encoded = "".join(unquote(url.partition(",")[2]).split()).rstrip("=")
    if len(encoded) // 4 * 3 > max_bytes + 2:
        message = f"{field}: more than the {max_bytes} bytes that are taken"
        raise TooLarge(message, field, "too_many_bytes")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        message = f"{field}: what follows the comma is not base64"
        raise InvalidValue(message, field, "invalid_base64") from None


def new_id() -> str:
    """ "img_", 12 hexadecimal digits of milliseconds since 1970, 32 random ones."""
    return f"img_{time.time_ns() // 10**6:012x}{secrets.token_hex(16)}"


def created_s(picture_id: str) -> float:
    """When an id was made, in seconds since 1970."""
    return int(picture_id[4:16], 16) / 1e3


def is_id(name: str) -> bool:
    """Whether `new_id` may have made it."""
    return re.fullmatch(PICTURE_ID, name) is not None


def _image_reference(image: str) -> str:
    if _REFERENCE.fullmatch(image) or is_data_url(image):
        return image
    raise ValueError(
        "give the id of a kept picture (img_...), a kept image's name from a record (sha256:...), "
        f"or {DATA_URL_EXPECTED}"
    )


ImageReference = Annotated[str, AfterValidator(_image_reference)]
