"""A style that an operator adds: its form read into what is told of it and its file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO, NamedTuple

from fastapi import Request
from pydantic import Field
from starlette.datastructures import UploadFile

from deployments.diffusion.styles import AboutStyle, AddedName
from deployments.errors import InvalidValue, TooLarge
from serve.http.wire.errors import validate
from serve.http.wire.habits import WORDS
from serve.http.wire.named_values import FORM, form_parts, media_type, unread

FILE, SETTINGS = "file", "settings"
TEXT_BYTES = 2**20


class NewStyle(AboutStyle):
    """The fields of POST /v1/styles. file: instead of one that is sent, the name of one that the
    operator has put into the folder of added styles."""

    name: AddedName
    file: str | None = Field(default=None, pattern=r"^[^./\\][^/\\]*\.safetensors$")


class SentStyle(NamedTuple):
    """fields: checked. file: as sent; None where `fields` names it."""

    fields: NewStyle
    file: BinaryIO | None

    @property
    def source(self) -> BinaryIO | str:
        """Its file, or the name of it."""
        source = self.fields.file if self.file is None else self.file
        assert source is not None
        return source

    @property
    def about(self) -> AboutStyle:
        """What is told of it."""
        return AboutStyle(**self.fields.model_dump(exclude={"name", FILE}))


@asynccontextmanager
async def read_style(request: Request, max_upload_bytes: int) -> AsyncIterator[SentStyle]:
    """The style that a form tells of; its file ends with the block.

    Raises InvalidValue or TooLarge naming the field, HTTPException 415.
    """
    kind = media_type(request)
    if kind != FORM:
        raise unread(kind, f"{FORM} with the LoRA as 'file'")
    async with form_parts(request, TEXT_BYTES) as parts:
        values: dict[str, Any] = {}
        files: dict[str, UploadFile] = {}
        for name, part in parts:
            if name in values or name in files:
                raise InvalidValue(f"{name}: send it once", name, "repeated_field")
            if isinstance(part, UploadFile):
                _require_file(name, part, max_upload_bytes)
                files[name] = part
            elif part:
                values[name] = part
        if SETTINGS in files:
            values[SETTINGS] = _as_text(await files.pop(SETTINGS).read())
        fields: NewStyle = validate(NewStyle, values)
        if fields.name in WORDS["style"]:
            message = f"name: {fields.name!r} is a word of other servers' clients; choose another"
            raise InvalidValue(message, "name", "invalid_value")
        if (FILE in files) == (fields.file is not None):
            message = "file: send one file, or name one in the folder of added styles"
            raise InvalidValue(message, FILE, "missing_field")
        yield SentStyle(fields, files[FILE].file if FILE in files else None)


def _require_file(name: str, part: UploadFile, max_upload_bytes: int) -> None:
    if name not in (FILE, SETTINGS):
        raise InvalidValue(f"{name}: send text, not a file", name, "invalid_value")
    limit = max_upload_bytes if name == FILE else TEXT_BYTES
    if part.size is not None and part.size > limit:
        raise TooLarge(
            f"{name}: {part.size} bytes are more than the {limit} allowed; put the file into the "
            "folder of added styles, and send its name",
            name,
            "file_too_large",
        )


def _as_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidValue(f"{SETTINGS}: not UTF-8", SETTINGS, "not_utf8") from None
