"""A body's bytes as named values: a JSON object, or the texts and files of a form."""

import codecs
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fastapi import Request
from pydantic_core import from_json
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from deployments.errors import InvalidValue

JSON, FORM = "application/json", "multipart/form-data"
MAX_PARTS = 64
LONG_DIGITS = re.compile(rb"\d{400,}")  # more than any field takes, and than Python reads
TEXT = "utf-8"


def media_type(request: Request) -> str:
    """The body's media type in lower case, "" where the header is missing.

    Raises HTTPException 415 for a body under a content coding.
    """
    coding = request.headers.get("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        raise HTTPException(
            415,
            f"Content-Encoding: {coding} is not read here; send the body as it is.",
            {"Accept-Encoding": "identity"},
        )
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    """Whether a media type in lower case is JSON's, or one built on it."""
    return kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))


def unread(kind: str, wanted: str) -> HTTPException:
    """The 415 for a body of a media type that is not read. wanted: what to send instead."""
    sent = f"{kind} is not read here" if kind else "the header is missing"
    return HTTPException(415, f"Content-Type: {sent}; send {wanted}.")


async def read_json(request: Request) -> dict[str, Any]:
    """The object of a JSON body. Raises HTTPException 415, and InvalidValue as `parse_json`."""
    kind = media_type(request)
    if not is_json(kind):
        raise unread(kind, JSON)
    with _whole_bodies():
        body = await request.body()
    return json_object(body)


def json_object(body: bytes) -> dict[str, Any]:
    """The object that a body holds. Raises InvalidValue for any other, as of `parse_json`."""
    if not body.strip():
        raise InvalidValue("The body is empty; send a JSON object.", None, "invalid_json")
    fields = parse_json(body.removeprefix(codecs.BOM_UTF8), None)
    if not isinstance(fields, dict):
        raise InvalidValue("The body must be a JSON object.", None, "invalid_body")
    return fields


def parse_json(text: bytes, field: str | None) -> Any:
    """The value of a JSON text. field: where it stands, None for the whole body.

    A number too long to be read is infinite, so that whichever field it is in refuses it by its
    name. Raises InvalidValue saying where it is broken, and for NaN, Infinity, strings that are no
    Unicode and nesting deeper than some 200.
    """
    try:
        return _parse(text)
    except ValueError as error:
        name = field or "The body"
        if not _is_text(text):
            raise InvalidValue(f"{_is(name)} not UTF-8", field, "not_utf8") from None
        raise InvalidValue(f"{_is(name)} not valid JSON: {error}", field, "invalid_json") from None


def _parse(text: bytes) -> Any:
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        if "out of range" not in str(error):
            raise
        return from_json(LONG_DIGITS.sub(b"1e999", text), allow_inf_nan=False)


def _is(name: str) -> str:
    return f"{name} is" if name[0].isupper() else f"{name}:"


def _is_text(data: bytes) -> bool:
    try:
        data.decode(TEXT)
    except UnicodeDecodeError:
        return False
    return True


@asynccontextmanager
async def form_parts(
    request: Request, max_text_bytes: int
) -> AsyncIterator[list[tuple[str, str | UploadFile]]]:
    """The parts of a multipart form by name, in their order; its files end with the block.

    Raises InvalidValue for a form that cannot be read and for text that is not what it says it is
    (UTF-8, where it says nothing), naming its field.
    """
    parser = _Parser(
        request.headers,
        _after_preamble(request),
        max_files=MAX_PARTS,
        max_fields=MAX_PARTS,
        max_part_size=max_text_bytes,
    )
    try:
        with _whole_bodies():
            form = await parser.parse()
    except MultiPartException as error:
        message = f"The form cannot be read: {error.message}"
        raise InvalidValue(message, None, "invalid_form") from None
    try:
        yield form.multi_items()
    finally:
        await form.close()


@contextmanager
def _whole_bodies() -> Iterator[None]:
    """A client that leaves in the middle of its body is no fault of ours."""
    try:
        yield
    except ClientDisconnect:
        raise HTTPException(400, "The body did not arrive whole.") from None


class _Parser(MultiPartParser):
    """Starlette's, with two differences: text is decoded strictly, and a part of an image's type
    is a file without a plain `filename` too."""

    def on_headers_finished(self) -> None:
        part = self._current_part
        _, named = parse_options_header(part.content_disposition)
        extended = b"filename*=" in (part.content_disposition or b"").lower()
        if b"filename" not in named and (extended or self._kind(part)[0].startswith(b"image/")):
            part.content_disposition = (part.content_disposition or b"") + b'; filename="unnamed"'
        super().on_headers_finished()

    def on_part_end(self) -> None:
        part = self._current_part
        if part.file is not None:
            super().on_part_end()
            return
        charset = self._kind(part)[1].get(b"charset", TEXT.encode()).decode("latin-1")
        try:
            self.items.append((part.field_name, part.data.decode(charset)))
        except (UnicodeError, LookupError):
            name = part.field_name
            said = "UTF-8" if charset.lower() == TEXT else f"text in {charset}"
            raise InvalidValue(f"{name}: not {said}; send UTF-8", name, "not_utf8") from None

    def _kind(self, part: Any) -> tuple[bytes, dict[bytes, bytes]]:
        return parse_options_header(dict(part.item_headers).get(b"content-type"))


async def _after_preamble(request: Request) -> AsyncGenerator[bytes]:
    """The body from its first boundary on; what stands before is for nobody (RFC 2046, 5.1.1)."""
    _, parameters = parse_options_header(request.headers.get("content-type"))
    boundary = b"--" + parameters.get(b"boundary", b"")
    before = b"\r\n"  # a boundary stands at the beginning of a line
    found = False
    async for chunk in request.stream():
        if found:
            yield chunk
            continue
        before += chunk
        place = before.find(b"\n" + boundary)
        if place >= 0:
            found = True
            yield before[place + 1 :]
        else:
            before = before[-len(boundary) - 1 :]
