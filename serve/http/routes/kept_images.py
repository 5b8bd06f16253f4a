"""Pictures that were made before: kept ones under /v1/images, and any file inspected.

Any file is told of as it stands (POST /v1/images/inspect), with what is kept of it here.
"""

from dataclasses import replace
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from deployments.diffusion.profile import DiffusionProfile
from deployments.postprocess.schema import MEDIA_TYPES, PICTURE_ID, Delivery, File
from serve.http.rooms import Rooms
from serve.http.wire import (
    FinishBody,
    Habits,
    ImagesAnswer,
    InspectionAnswer,
    PiecewiseJSON,
    TakenRequest,
    as_asked,
    as_bytes,
    images_answer,
    inspection_answer,
    prompt_in_file,
    read_image,
    refusals,
    taking,
)
from serve.settings import AppArgs

MAX_PAGE = 100
ONE = "/{picture_id:picture_id}"
BYTES = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES.values()}
VALIDATOR = {"ETag": {"description": "Of these very bytes.", "schema": {"type": "string"}}}
FILE = refusals(400, 404, 416) | {
    200: {"content": BYTES, "headers": VALIDATOR, "description": "The file."},
    206: {"content": BYTES, "headers": VALIDATOR, "description": "The bytes that Range asks for."},
    304: {"headers": VALIDATOR, "description": "The same as If-None-Match names."},
}
ANSWERS = refusals(400, 404, 413, 415) | {
    200: {
        "model": ImagesAnswer,
        "content": {kind: {} for kind in MEDIA_TYPES.values()},
        "description": "JSON; or one file's bytes where the Accept header asks for them.",
    },
}
Id = Annotated[str, Path(pattern=f"^{PICTURE_ID}$", description="A kept picture's.")]


class PictureId(Convertor[str]):
    """The ids of pictures in addresses, which no other address looks like."""

    regex = PICTURE_ID

    def convert(self, value: str) -> str:
        """The id as it stands."""
        return value

    def to_string(self, value: str) -> str:
        """The id as it stands."""
        return value


register_url_convertor("picture_id", PictureId())


def url_of(request: Request, picture_id: str) -> str:
    """Where a kept picture is fetched, by the name under which the client reached us."""
    return str(request.url_for("picture", picture_id=picture_id))


def library_routes(
    rooms: Rooms, profile: DiffusionProfile, habits: Habits, *, prompts: bool
) -> APIRouter:
    """The pictures that are kept. prompts: whether files may tell how they were described."""
    router = APIRouter(prefix="/v1/images", tags=["library"], route_class=taking(habits))

    @router.get("", responses=refusals(400))
    async def pictures(
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
        after: Annotated[str | None, Query(pattern=f"^{PICTURE_ID}$")] = None,
    ) -> dict[str, Any]:
        """The pictures that are kept, the newest first; `after` is the last id of another page."""
        page = await rooms.ask("records", after, limit)
        records, more = cast(tuple[list[dict[str, Any]], bool], page)
        return {"object": "list", "data": records, "has_more": more}

    @router.get(ONE, response_class=Response, responses=FILE)
    async def picture(
        picture_id: Id, request: Request, variant: Literal["clean", "final"] = "final"
    ) -> Response:
        """A kept picture as a file: as it was delivered, or clean, without words, as a PNG."""
        file = cast(File, await rooms.ask("file", picture_id, variant))
        return as_asked(file.data, file.media_type, request.headers)

    @router.get(f"{ONE}/metadata", responses=refusals(400, 404))
    async def metadata(picture_id: Id) -> dict[str, Any]:
        """How a kept picture was made: what was asked, its words, what became of them."""
        return cast(dict[str, Any], await rooms.ask("record", picture_id))

    @router.delete(ONE, responses=refusals(400, 404))
    async def delete(picture_id: Id) -> dict[str, Any]:
        """Remove a picture for good."""
        await rooms.ask("forget", picture_id)
        return {"id": picture_id, "object": "image", "deleted": True}

    @router.post(f"{ONE}/overlays", responses=ANSWERS, response_class=Response)
    async def overlays(picture_id: Id, body: FinishBody, request: Request) -> Response:
        """Other words, placements or formats for a kept picture, each file under its own id."""
        assert isinstance(request, TakenRequest)
        accept = request.headers.get("accept")
        spec = replace(
            body.finish_spec(accept, 1).of(1),
            prompt_in_file=prompt_in_file(body.metadata, prompts),
            warnings=request.warnings,
        )
        spec = await rooms.adopt(spec)
        delivery = cast(Delivery, await rooms.ask("finish_kept", picture_id, spec))
        if body.raw(accept):
            return as_bytes(delivery)
        answer = images_answer(
            delivery,
            model=profile.name,
            steps=profile.steps,
            output_format=spec.output.format,
            url_of=(lambda one: url_of(request, one)) if body.response_format == "url" else None,
        )
        return PiecewiseJSON(answer)

    return router


def inspection_routes(rooms: Rooms, args: AppArgs) -> APIRouter:
    """What a file tells of its making, kept here or not."""
    router = APIRouter(prefix="/v1/images", tags=["inspection"])
    file = {"type": "object", "required": ["image"], "additionalProperties": False, "properties": {
        "image": {"type": "string", "format": "binary"}}}  # fmt: skip
    form = {"required": True, "content": {"multipart/form-data": {"schema": file}}}

    @router.post("/inspect", openapi_extra={"requestBody": form}, responses=refusals(400, 413, 415))
    async def inspect(request: Request) -> InspectionAnswer:
        """Read a file's facts, its digital source type, its credentials and how to repeat it."""
        data = await read_image(request, args.max_upload_bytes)
        told = cast(dict[str, Any], await rooms.ask("inspect", data))
        kept = told.pop("kept")
        return inspection_answer(told, kept)

    return router
