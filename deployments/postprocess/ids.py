"""Names of pictures: in the order of their making, and not to be guessed."""

import re
import secrets
import time

PATTERN = "img_[0-9a-f]{44}"


def new_id() -> str:
    """ "img_", 12 hexadecimal digits of milliseconds since 1970, 32 random ones."""
    return f"img_{time.time_ns() // 10**6:012x}{secrets.token_hex(16)}"


def created_s(picture_id: str) -> float:
    """When an id was made, in seconds since 1970."""
    return int(picture_id[4:16], 16) / 1e3


def is_id(name: str) -> bool:
    """Whether `new_id` may have made it."""
    return re.fullmatch(PATTERN, name) is not None
