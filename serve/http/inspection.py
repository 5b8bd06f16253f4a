"""POST /v1/images/inspect: what a file says of itself, and the request that makes it again."""

from typing import Any, cast

from fastapi import APIRouter, Request

from serve.http.rooms import Rooms
from serve.http.uploads import read_image
from serve.repeat import InspectionAnswer, inspection_answer
from serve.settings import AppArgs


def routes(rooms: Rooms, args: AppArgs) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/v1/images", tags=["inspection"])
    file = {"type": "object", "required": ["image"], "properties": {
        "image": {"type": "string", "format": "binary"}}}  # fmt: skip
    form = {"required": True, "content": {"multipart/form-data": {"schema": file}}}

    @router.post("/inspect", openapi_extra={"requestBody": form})
    async def inspect(request: Request) -> InspectionAnswer:
        """Read a file's facts, its digital source type, its credentials and how to repeat it."""
        data = await read_image(request, args.max_upload_bytes)
        told = cast(dict[str, Any], await rooms.ask("inspect", data))
        kept = told.pop("kept")
        return inspection_answer(told, kept)

    return router
