"""POST /v1/images/generations and /v1/images/edits."""

import uuid
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from deployments.diffusion.params import GenerationParams
from deployments.diffusion.profile import DiffusionProfile, SizeRange, parse_size
from deployments.errors import InvalidValue
from deployments.postprocess.delivery import FinishSpec
from deployments.postprocess.encode import MEDIA_TYPES
from deployments.postprocess.spec import Output, find_placement
from serve.http.answers import ImagesAnswer, as_bytes, images_answer
from serve.http.bodies import EditBody, GenerationBody
from serve.http.negotiate import picture_wanted
from serve.http.rooms import Pending, Rooms
from serve.http.stream import MEDIA_TYPE, Kind, Streamed, stream
from serve.http.uploads import read_edit_form

Accept = Annotated[str | None, Header()]

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ImagesAnswer,
        "content": {kind: {} for kind in (*MEDIA_TYPES.values(), MEDIA_TYPE)},
        "description": "JSON; one picture's bytes where the Accept header asks for them; or the "
        "events of a streamed request.",
    }
}


class Images:
    """What the two routes share."""

    def __init__(self, rooms: Rooms, profile: DiffusionProfile, max_upload_bytes: int) -> None:
        self.rooms = rooms
        self.profile = profile
        self.max_upload_bytes = max_upload_bytes

    async def generate(self, body: GenerationBody, accept: str | None) -> Response:
        """A picture from a prompt."""
        spec = finish_spec(body, accept, self.profile)
        default = parse_size(self._sizes(body).default)
        params = body.params(self.profile, self._canvas(body) or default)
        return await self._deliver("image_generation", body, params, None, spec, accept)

    async def edit(self, request: Request, accept: str | None) -> Response:
        """A picture from a prompt and a picture, or of the part that a mask names."""
        form = await read_edit_form(request, self.max_upload_bytes)
        body = form.body
        spec = finish_spec(body, accept, self.profile)
        canvas = self._canvas(body)
        strength = self.profile.default_strength if body.strength is None else body.strength
        default = parse_size(self.profile.sizes.default)
        params = body.params(self.profile, canvas or default, strength)
        body.terms()  # refused before any work, as all of the above
        given = self.rooms.intake(form.image, form.mask, canvas, body.fit)
        fitted = await self.rooms.fitted(given)
        height, width, _ = fitted.picture.shape
        params = replace(params, width=width, height=height)
        return await self._deliver("image_edit", body, params, given, spec, accept)

    async def _deliver(
        self,
        kind: Kind,
        body: GenerationBody,
        params: GenerationParams,
        given: Pending | None,
        spec: FinishSpec,
        accept: str | None,
    ) -> Response:
        answer = partial(
            images_answer,
            params=params,
            model=self.profile.name,
            quality=body.quality,
            output_format=spec.output.format,
        )
        if body.stream:
            told = self.rooms.draw_stream(params, body.terms(), given, spec.id)
            return await stream(self.rooms, Streamed(kind, params, spec, answer), told)
        delivery = await self.rooms.deliver(params, body.terms(), given, spec)
        if picture_wanted(accept):
            return as_bytes(delivery)
        return JSONResponse(answer(delivery).model_dump(mode="json"))

    def _sizes(self, body: GenerationBody) -> SizeRange:
        hires = self.profile.hires
        return hires.sizes if body.hires and hires else self.profile.sizes

    def _canvas(self, body: GenerationBody) -> tuple[int, int] | None:
        """The size that is drawn, None where only the given picture can tell."""
        if body.size != "auto":
            return parse_size(body.size)
        if body.placement is None:
            return None
        placement = find_placement(body.placement)
        return self._sizes(body).nearest(placement.width / placement.height)


def finish_spec(body: GenerationBody, accept: str | None, profile: DiffusionProfile) -> FinishSpec:
    """What is to become of the drawn pictures. Raises InvalidValue for contradictions."""
    raw = picture_wanted(accept)
    if raw and body.stream:
        raise InvalidValue(
            "stream: raw bytes come whole; ask for text/event-stream or leave stream out",
            "stream",
            "raw_is_not_streamed",
        )
    if raw and body.n > 1:
        raise InvalidValue(
            "n: raw bytes hold one picture; ask for n=1 or for application/json",
            "n",
            "raw_needs_one",
        )
    if raw not in (None, "any", body.output_format) and body.output_format is not None:
        raise InvalidValue(
            f"output_format: {body.output_format} is not the image/{raw} of the Accept header",
            "output_format",
            "contradiction",
        )
    kind: Any = body.output_format or (raw if raw not in (None, "any") else "png")
    job = f"img_{uuid.uuid4().hex}"
    return FinishSpec(
        id=job,
        overlay=body.overlay,
        placement=body.placement,
        output=Output(format=kind, compression=body.output_compression),
        metadata={"id": job, "model": profile.name, "prompt": body.prompt},
    )


def routes(images: Images) -> APIRouter:
    """The images routes."""
    router = APIRouter(prefix="/v1/images", tags=["images"])

    @router.post("/generations", responses=ANSWERS, response_class=Response)
    async def generations(body: GenerationBody, accept: Accept = None) -> Response:
        """Draw pictures from a prompt, and set words on them."""
        return await images.generate(body, accept)

    @router.post(
        "/edits", responses=ANSWERS, response_class=Response, openapi_extra=edit_form_schema()
    )
    async def edits(request: Request, accept: Accept = None) -> Response:
        """Redraw a picture, or the part of it that a mask names, and set words on it."""
        return await images.edit(request, accept)

    return router


def edit_form_schema() -> dict[str, Any]:
    """OpenAPI's description of the form, which is read by hand."""
    schema = EditBody.model_json_schema(ref_template="#/components/schemas/{model}")
    del schema["$defs"]  # GenerationBody's own are the same
    file = {"type": "string", "format": "binary"}
    schema["properties"] = {"image": file, "mask": file} | schema["properties"]
    schema["properties"]["overlay"] = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": "#/components/schemas/OverlaySpec"},
    }
    schema["required"] = ["image", "prompt"]
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }
