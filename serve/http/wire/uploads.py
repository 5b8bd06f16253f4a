"""An edit's form or JSON body read into its fields and its files, within bounds."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from deployments.errors import InvalidValue, TooLarge
from deployments.postprocess.schema import read_data_url
from serve.http.wire.bodies import EditBody, KeptEditBody, KeptPicture, SentEditBody, form_values
from serve.http.wire.errors import validate

MAX_FIELDS = 64
IMAGE_NAMES = ("image", "image[]")  # the openai client sends the latter for a list
FILE_NAMES = (*IMAGE_NAMES, "mask")


@dataclass(frozen=True, slots=True)
class EditForm:
    """The checked fields and the bytes, as yet unread, of the files; or a kept picture's name."""

    body: EditBody
    image: bytes | KeptPicture
    mask: bytes | None


async def read_edit(request: Request, max_upload_bytes: int) -> EditForm:
    """Read an edit, a form or a JSON body. Raises as `read_edit_form` does."""
    if _kind(request) != "application/json":
        return await read_edit_form(request, max_upload_bytes)
    try:
        fields = await request.json()
    except (ValueError, RecursionError):
        raise InvalidValue("The body is not valid JSON.", None, "invalid_json") from None
    if not isinstance(fields, dict):
        raise InvalidValue("The body must be a JSON object.", None, "invalid_body")
    return (
        _sent(fields, max_upload_bytes) if isinstance(fields.get("image"), str) else _kept(fields)
    )


def _kept(fields: dict[str, Any]) -> EditForm:
    body: KeptEditBody = validate(KeptEditBody, fields)
    return EditForm(body=body, image=body.image, mask=None)


def _sent(fields: dict[str, Any], max_upload_bytes: int) -> EditForm:
    body: SentEditBody = validate(SentEditBody, fields)
    return EditForm(
        body=body,
        image=read_data_url(body.image, "image", max_upload_bytes),
        mask=read_data_url(body.mask, "mask", max_upload_bytes) if body.mask else None,
    )


async def read_edit_form(request: Request, max_upload_bytes: int) -> EditForm:
    """Read the form. Raises InvalidValue or TooLarge naming the field, HTTPException 415."""
    async with _form(request, max_upload_bytes) as (texts, files):
        image = _required(files)
        body: EditBody = validate(EditBody, form_values(texts))
        mask = files.get("mask")
        return EditForm(
            body=body,
            image=await _bytes("image", image, max_upload_bytes),
            mask=await _bytes("mask", mask, max_upload_bytes) if mask else None,
        )


async def read_image(request: Request, max_upload_bytes: int) -> bytes:
    """The only field of a form, the file "image". Raises as `read_edit_form` does."""
    async with _form(request, max_upload_bytes) as (texts, files):
        image = _required(files)
        for name in (*texts, *files):
            if name != "image":
                message = f"{name}: not a field of this request; leave it out"
                raise InvalidValue(message, name, "unknown_field")
        return await _bytes("image", image, max_upload_bytes)


@asynccontextmanager
async def _form(
    request: Request, max_upload_bytes: int
) -> AsyncIterator[tuple[dict[str, str], dict[str, UploadFile]]]:
    """A form's texts and files by their names; an overlay's text may hold a file in base64."""
    if _kind(request) != "multipart/form-data":
        raise HTTPException(415, "Send the picture as multipart/form-data, in the field 'image'.")
    async with request.form(
        max_files=len(FILE_NAMES), max_fields=MAX_FIELDS, max_part_size=2 * max_upload_bytes
    ) as form:
        texts: dict[str, str] = {}
        files: dict[str, UploadFile] = {}
        for name, value in form.multi_items():
            _place(name, value, texts, files)
        yield texts, files


def _kind(request: Request) -> str:
    """The media type of the body, without its parameters, in lower case as it knows none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _required(files: Mapping[str, UploadFile]) -> UploadFile:
    if "image" not in files:
        raise InvalidValue("image: required; send the picture's file", "image", "missing_field")
    return files["image"]


def _place(name: str, value: Any, texts: dict[str, str], files: dict[str, UploadFile]) -> None:
    field = "image" if name in IMAGE_NAMES else name
    is_file = isinstance(value, UploadFile)
    if is_file != (name in FILE_NAMES):
        wanted, sent = ("a file", "text") if name in FILE_NAMES else ("text", "a file")
        raise InvalidValue(f"{field}: send {wanted}, not {sent}", field, "invalid_value")
    if field in files or field in texts:
        raise InvalidValue(f"{field}: send it once", field, "repeated_field")
    if is_file:
        files[field] = value
    else:
        texts[field] = value


async def _bytes(field: str, file: UploadFile, limit: int) -> bytes:
    if file.size is not None and file.size > limit:
        raise TooLarge(
            f"{field}: {file.size} bytes are more than the {limit} allowed", field, "file_too_large"
        )
    return await file.read()
