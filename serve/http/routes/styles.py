"""The styles that pictures may be drawn in, and those that operators add and remove meanwhile."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import AddedStyle
from deployments.diffusion.styles import StyleFolder, StyleRecord
from deployments.errors import InvalidValue
from serve.http.rooms import Rooms
from serve.http.wire import FORM, NewStyle, read_style, refusals
from serve.settings import AppArgs

TOLD = {"description", "trigger", "licence", "weight"}
OFF = (
    "Styles are added only where args.added_styles names a folder for them and the profile's "
    "engine.added_styles_bytes gives them room."
)


class StyleAnswer(BaseModel):
    """A style. added: whether it was added while the application runs, and may be removed.

    bytes: of an added one, beside the model. digest: SHA-256 of its file, with its settings.
    """

    id: str
    object: Literal["style"] = "style"
    added: bool
    description: str
    licence: str
    trigger: str | None
    weight: float
    bytes: int | None = None
    digest: str | None = None


class StyleList(BaseModel):
    """All styles, the profile's first."""

    object: Literal["list"] = "list"
    data: list[StyleAnswer]


class StyleDeleted(BaseModel):
    """What is said of a style that was removed."""

    id: str
    object: Literal["style"] = "style"
    deleted: Literal[True] = True


class Styles:
    """The profile's styles, which are always there, and the added ones, as the folder has them."""

    def __init__(self, rooms: Rooms, profile: DiffusionProfile, args: AppArgs) -> None:
        self._rooms = rooms
        self._profile = profile
        self._most_bytes = profile.engine.added_styles_bytes
        named = args.added_styles if self._most_bytes else None
        self._folder = None if named is None else StyleFolder(named)

    async def added(self) -> dict[str, StyleRecord]:
        """Those that are added now, by name; a name of the profile's is the profile's."""
        if self._folder is None:
            return {}
        records = await asyncio.to_thread(self._folder.records)
        return {name: one for name, one in records.items() if name not in self._profile.styles}

    async def listed(self) -> list[StyleAnswer]:
        """All styles as operators see them, the profile's first."""
        ours = [
            StyleAnswer(id=name, added=False, **style.model_dump(include=TOLD))
            for name, style in self._profile.styles.items()
        ]
        return [*ours, *(_of_added(*one) for one in (await self.added()).items())]

    async def described(self) -> dict[str, dict[str, Any]]:
        """What is told of each style by name."""
        every = {**self._profile.styles, **await self.added()}
        return {name: style.model_dump(include=TOLD - {"weight"}) for name, style in every.items()}

    async def beside_the_profile(self, names: Sequence[str]) -> list[AddedStyle]:
        """The added styles as they stand now, for a request that asks for these names; empty where
        all of them are the profile's."""
        if all(name in self._profile.styles for name in names):
            return []
        return [record.named(name) for name, record in (await self.added()).items()]

    async def add(self, request: Request, max_upload_bytes: int) -> tuple[str, StyleRecord]:
        """Add what a form brings: checked by a process that draws, kept, then held by all of them.

        Raises what names the field.
        """
        folder = self._require_folder()
        async with read_style(request, max_upload_bytes) as sent:
            name, about = sent.fields.name, sent.about
            if name in self._profile.styles:
                message = f"name: {name!r} is a style of the profile; choose another"
                raise InvalidValue(message, "name", "style_exists")
            with ExitStack() as ends:
                incoming = folder.incoming(sent.source, about.settings, self._most_bytes)
                half, digest = await asyncio.to_thread(ends.enter_context, incoming)
                nbytes = await self._rooms.weigh_style(half, about.settings)
                record = StyleRecord(**about.model_dump(), digest=digest, nbytes=nbytes)
                await asyncio.to_thread(folder.add, name, record, half, self._most_bytes)
        await self._rooms.follow_styles()
        return name, record

    async def remove(self, name: str) -> None:
        """Remove an added style: refused from now on, while what is on its way is drawn with it.

        Raises NotFound, InvalidValue for one of the profile's.
        """
        folder = self._require_folder()
        if name in self._profile.styles:
            message = f"name: {name!r} is a style of the profile; take it out there"
            raise InvalidValue(message, "name", "style_of_the_profile")
        await asyncio.to_thread(folder.remove, name)
        await self._rooms.follow_styles()

    def _require_folder(self) -> StyleFolder:
        if self._folder is None:
            raise InvalidValue(OFF, None, "added_styles_off")
        return self._folder


def style_routes(styles: Styles, args: AppArgs) -> APIRouter:
    """What operators may ask of styles."""
    router = APIRouter(prefix="/v1/styles", tags=["styles"])

    @router.get("", responses=refusals())
    async def listed() -> StyleList:
        """The styles that pictures may be drawn in."""
        return StyleList(data=await styles.listed())

    @router.post("", openapi_extra=form_schema(), responses=refusals(400, 404, 413, 415))
    async def add(request: Request) -> StyleAnswer:
        """Add a style, a LoRA file: from now on pictures may be drawn in it."""
        return _of_added(*await styles.add(request, args.max_upload_bytes))

    @router.delete("/{name}", responses=refusals(400, 404))
    async def remove(name: str) -> StyleDeleted:
        """Remove a style that was added. What is on its way is still drawn in it."""
        await styles.remove(name)
        return StyleDeleted(id=name)

    return router


def _of_added(name: str, record: StyleRecord) -> StyleAnswer:
    told = record.model_dump(include=TOLD)
    return StyleAnswer(id=name, added=True, **told, bytes=record.nbytes, digest=record.digest)


def form_schema() -> dict[str, Any]:
    """OpenAPI's description of the form, which is read by hand."""
    schema = NewStyle.model_json_schema()
    properties = schema["properties"]
    sent = {"type": "string", "format": "binary", "description": "A LoRA file, safetensors."}
    properties["file"] = {"anyOf": [sent, properties["file"]]}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema}}}}
