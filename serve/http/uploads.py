"""A multipart form read into its fields and its files, within bounds."""

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from deployments.errors import InvalidValue, TooLarge
from serve.http.bodies import EditBody, form_values
from serve.http.errors import validate

MAX_FIELDS = 64
IMAGE_NAMES = ("image", "image[]")  # the openai client sends the latter for a list
FILE_NAMES = (*IMAGE_NAMES, "mask")


@dataclass(frozen=True, slots=True)
class EditForm:
    """The checked fields and the bytes, as yet unread, of the files."""

    body: EditBody
    image: bytes
    mask: bytes | None


async def read_edit_form(request: Request, max_upload_bytes: int) -> EditForm:
    """Read the form. Raises InvalidValue or TooLarge naming the field, HTTPException 415."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise HTTPException(415, "Send the picture as multipart/form-data, in the field 'image'.")
    async with request.form(
        max_files=len(FILE_NAMES), max_fields=MAX_FIELDS, max_part_size=2 * max_upload_bytes
    ) as form:
        texts: dict[str, str] = {}
        files: dict[str, UploadFile] = {}
        for name, value in form.multi_items():
            _place(name, value, texts, files)
        if "image" not in files:
            raise InvalidValue("image: required; send the picture's file", "image", "missing_field")
        body: EditBody = validate(EditBody, form_values(texts))
        mask = files.get("mask")
        return EditForm(
            body=body,
            image=await _bytes("image", files["image"], max_upload_bytes),
            mask=await _bytes("mask", mask, max_upload_bytes) if mask else None,
        )


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
