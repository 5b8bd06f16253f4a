"""Pictures' files inside JSON, as data URLs of base64."""

import base64
import binascii
import re
from typing import Annotated

from pydantic import AfterValidator

from deployments.errors import InvalidValue, TooLarge

_START = re.compile("data:image/(png|jpeg|webp|avif);base64,")
EXPECTED = "a data URL of base64 (data:image/png;base64,...; or jpeg, webp, avif)"


def is_data_url(text: str) -> bool:
    """Whether `text` begins as one; `read` tells whether the rest is sound."""
    return _START.match(text) is not None


def _checked(text: str) -> str:
    if not is_data_url(text):
        raise ValueError(f"give {EXPECTED}")
    return text


DataUrl = Annotated[str, AfterValidator(_checked)]


def read(url: str, field: str, max_bytes: int) -> bytes:
    """The file of a data URL. Raises TooLarge or InvalidValue naming `field`."""
    encoded = url.partition(",")[2]
    if len(encoded) // 4 * 3 > max_bytes + 2:
        message = f"{field}: more than the {max_bytes} bytes that are taken"
        raise TooLarge(message, field, "too_many_bytes")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        message = f"{field}: what follows the comma is not base64"
        raise InvalidValue(message, field, "invalid_base64") from None
