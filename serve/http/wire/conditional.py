"""A file that does not change, as HTTP's conditions ask for it: whole, a part, or not again.

RFC 9110: validators and If-None-Match (8.8.3, 13.1.2), byte ranges and If-Range (14, 13.1.5).
"""

import hashlib
import re

from fastapi import Response
from starlette.datastructures import Headers

from serve.http.wire.errors import envelope

CACHED = (
    "private, max-age=31536000, immutable"  # by whom it was sent to: a proxy would not forget it
)
RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)


def as_asked(data: bytes, media_type: str, asked: Headers) -> Response:
    """The answer 200, 206, 304 or 416 to a request for `data` with the headers `asked`.

    A range that makes no sense, and several at once, are answered with the whole.
    """
    tag = f'"{hashlib.blake2b(data, digest_size=16).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": CACHED, "Accept-Ranges": "bytes"}
    if _matches(asked.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    part = _part(asked, tag, len(data))
    if part is None:
        return Response(data, media_type=media_type, headers=headers)
    if not part:
        return envelope(
            416,
            f"range: the file has {len(data)} bytes, and none of those that are asked for",
            param="range",
            code="range_not_satisfiable",
            headers={"Content-Range": f"bytes */{len(data)}"},
        )
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(data)}"
    return Response(data[part.start : part.stop], 206, media_type=media_type, headers=headers)


def _matches(tags: str | None, tag: str) -> bool:
    known = [one.strip().removeprefix("W/") for one in (tags or "").split(",")]
    return tag in known or known == ["*"]


def _part(asked: Headers, tag: str, size: int) -> range | None:
    """The bytes that are asked for, none of them where there are no such; None for all."""
    found = RANGE.fullmatch(asked.get("range", ""))
    if found is None or asked.get("if-range", tag) != tag:
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
