"""GET, DELETE /v1/images and POST /v1/images/{id}/overlays: what was made before."""

from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.convertors import Convertor, register_url_convertor

from deployments.postprocess.delivery import Delivery, File, FinishSpec
from deployments.postprocess.ids import PATTERN, new_id
from deployments.postprocess.spec import Output, OverlaySpec
from serve.http.answers import ImagesAnswer, images_answer
from serve.http.bodies import Metadata, prompt_in_file
from serve.http.rooms import Rooms

MAX_PAGE = 100


class PictureId(Convertor[str]):
    """The ids of pictures in addresses, which no other address looks like."""

    regex = PATTERN

    def convert(self, value: str) -> str:
        """The id as it stands."""
        return value

    def to_string(self, value: str) -> str:
        """The id as it stands."""
        return value


register_url_convertor("picture_id", PictureId())
ONE = "/{picture_id:picture_id}"


class OverlayBody(BaseModel):
    """Body of POST /v1/images/{id}/overlays."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    overlay: OverlaySpec | None = Field(default=None, description="The words to set on it.")
    placement: str | None = Field(default=None, description="See /v1/capabilities.")
    output_format: Literal["png", "jpeg", "webp", "avif"] = "png"
    output_compression: int | None = Field(default=None, ge=0, le=100)
    response_format: Literal["b64_json", "url"] = "b64_json"
    metadata: Metadata | None = Field(default=None, description="As of a generation.")


def url_of(request: Request, picture_id: str) -> str:
    """Where a kept picture is fetched, by the name under which the client reached us."""
    return str(request.url_for("picture", picture_id=picture_id))


def routes(rooms: Rooms, model: str, *, prompts: bool) -> APIRouter:
    """The pictures that are kept. prompts: whether files may tell how they were described."""
    router = APIRouter(prefix="/v1/images", tags=["library"])

    @router.get("")
    async def pictures(
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
        after: Annotated[str | None, Query(pattern=f"^{PATTERN}$")] = None,
    ) -> dict[str, Any]:
        """The pictures that are kept, the newest first; `after` is the last id of another page."""
        page = await rooms.ask("records", after, limit)
        records, more = cast(tuple[list[dict[str, Any]], bool], page)
        return {"object": "list", "data": records, "has_more": more}

    @router.get(ONE, response_class=Response)
    async def picture(picture_id: str, variant: Literal["clean", "final"] = "final") -> Response:
        """A kept picture as a file: as it was delivered, or clean, without words, as a PNG."""
        file = cast(File, await rooms.ask("file", picture_id, variant))
        return Response(file.data, media_type=file.media_type)

    @router.get(f"{ONE}/metadata")
    async def metadata(picture_id: str) -> dict[str, Any]:
        """How a kept picture was made: what was asked, its words, what became of them."""
        return cast(dict[str, Any], await rooms.ask("record", picture_id))

    @router.delete(ONE)
    async def delete(picture_id: str) -> dict[str, Any]:
        """Remove a picture for good."""
        await rooms.ask("forget", picture_id)
        return {"id": picture_id, "object": "image", "deleted": True}

    @router.post(f"{ONE}/overlays")
    async def overlays(picture_id: str, body: OverlayBody, request: Request) -> ImagesAnswer:
        """Other words, another placement or format for a kept picture, under an id of its own."""
        spec = FinishSpec(
            ids=(new_id(),),
            overlay=body.overlay,
            placement=body.placement,
            output=Output(body.output_format, body.output_compression),
            prompt_in_file=prompt_in_file(body.metadata, prompts),
        )
        spec = await rooms.adopt(spec)
        delivery = cast(Delivery, await rooms.ask("finish_kept", picture_id, spec))
        return images_answer(
            delivery,
            model=model,
            quality="auto",
            output_format=spec.output.format,
            url_of=(lambda one: url_of(request, one)) if body.response_format == "url" else None,
        )

    return router
