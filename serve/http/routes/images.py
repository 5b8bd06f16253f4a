"""Pictures drawn anew: POST /v1/images/generations and /v1/images/edits."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from deployments.diffusion.profile import MAX_REFERENCES, DiffusionProfile
from deployments.diffusion.request import GenerationParams, check_references, request_key
from deployments.diffusion.sizes import SizeRange, parse_size
from deployments.errors import InvalidValue
from deployments.handover import Given
from deployments.postprocess.design import Brand, check_names
from deployments.postprocess.schema import MEDIA_TYPES, FinishSpec, KeptVariant, find_placement
from serve import VERSION
from serve.http.rooms import Pending, Rooms, TakenIn
from serve.http.routes.kept_images import url_of
from serve.http.routes.styles import Styles
from serve.http.wire import (
    MEDIA_TYPE,
    EditBody,
    EditForm,
    GenerationBody,
    Habits,
    ImagesAnswer,
    KeptEditBody,
    Kind,
    PiecewiseJSON,
    ReferringEditBody,
    SentEditBody,
    Streamed,
    TakenRequest,
    as_bytes,
    complete,
    images_answer,
    prompt_in_file,
    read_edit,
    refusals,
    stream_events,
    taking,
)
from serve.settings import AppArgs

ANSWERS = refusals(400, 404, 413, 415, 507) | {
    200: {
        "model": ImagesAnswer,
        "content": {kind: {} for kind in (*MEDIA_TYPES.values(), MEDIA_TYPE)},
        "description": "JSON; one picture's bytes where the Accept header asks for them; or the "
        "events of a streamed request.",
    },
}


class Images:
    """What the two routes share."""

    def __init__(
        self,
        rooms: Rooms,
        profile: DiffusionProfile,
        args: AppArgs,
        drawn_by: str | None,
        brands: Mapping[str, Brand],
        habits: Habits,
        styles: Styles,
    ) -> None:
        self.rooms = rooms
        self.styles = styles
        self.habits = habits
        self.profile = profile
        self.args = args
        self.brands = brands
        self.drawn_by = drawn_by if args.library else None
        self.maker = maker(profile, drawn_by)

    async def generate(self, body: GenerationBody, request: TakenRequest) -> Response:
        """A picture from a prompt."""
        spec = self._spec(body, request, request.warnings)
        default = parse_size(self._sizes(body).default)
        added = await self.styles.beside_the_profile(body.style_names)
        params = body.params(self.profile, self._canvas(body) or default, added=added)
        spec = self._keyed(spec, body, params, None)
        return await self._deliver("image_generation", body, params, None, spec, request)

    async def edit(self, request: Request) -> Response:
        """A picture from a prompt and a picture, or of the part that a mask names, or from
        references."""
        form = await read_edit(request, self.args.max_upload_bytes, self.habits)
        body = form.body
        spec = self._spec(body, request, form.warnings)
        canvas = self._canvas(body)
        strength = None
        if form.image is None:
            body.check_only_references()
        else:
            strength = body.strength_by(self.profile)
        default = parse_size(self._sizes(body).default)
        added = await self.styles.beside_the_profile(body.style_names)
        params = body.params(self.profile, canvas or default, strength, added)
        body.terms()  # refused before any work, as all of the above
        taken = await self._taken(form, canvas)
        width, height = canvas or self._canvas_of(body, taken.given)
        params = replace(params.bringing(taken.given), width=width, height=height)
        spec = replace(spec, warnings=(*spec.warnings, *taken.given.warnings))
        spec = self._keyed(spec, body, params, taken.given.digest)
        return await self._deliver("image_edit", body, params, taken.pending, spec, request)

    async def _taken(self, form: EditForm, canvas: tuple[int, int] | None) -> TakenIn:
        taken = None if form.image is None else await self._redrawn(form.image, form, canvas)
        if not form.references:
            assert taken is not None
            return taken
        check_references(len(form.references), self.profile)
        assert self.profile.references is not None
        return await self.rooms.refer(taken, form.references, self.profile.references.max_pixels)

    async def _redrawn(
        self, image: bytes | KeptVariant, form: EditForm, canvas: tuple[int, int] | None
    ) -> TakenIn:
        fit, keep = form.body.fit, form.body.keep
        if isinstance(image, KeptVariant):
            return await self.rooms.intake_kept(image, canvas, fit, keep)
        return await self.rooms.intake(image, form.mask, canvas, fit, keep)

    def _canvas_of(self, body: GenerationBody, given: Given) -> tuple[int, int]:
        """The size that the given picture was fitted to, or the nearest to the first reference."""
        if given.picture is not None:
            height, width, _ = given.picture.shape
            return width, height
        width, height = given.reference_sizes[0]
        return self._sizes(body).nearest(width / height)

    async def _deliver(
        self,
        kind: Kind,
        body: GenerationBody,
        params: GenerationParams,
        given: Pending | None,
        spec: FinishSpec,
        request: Request,
    ) -> Response:
        spec = await self.rooms.adopt(spec)
        by_url = partial(url_of, request) if body.response_format == "url" else None
        quality = self.profile.steps.quality_of(params.num_inference_steps)
        answer = partial(
            images_answer,
            model=self.profile.name,
            steps=self.profile.steps,
            output_format=spec.output.format,
            url_of=by_url,
        )
        terms = body.terms()
        delivery = await self.rooms.recall(spec) if spec.key else None
        if body.stream:
            streamed = Streamed(kind, params, spec, quality, body.progress, answer)
            if delivery is not None:
                return complete(streamed, delivery)
            told = self.rooms.deliver_told(params, terms, given, spec)
            return await stream_events(self.rooms, streamed, told)
        if delivery is None:
            delivery = await self.rooms.deliver(params, terms, given, spec)
        if body.raw(request.headers.get("accept")):
            return as_bytes(delivery)
        return PiecewiseJSON(answer(delivery))

    def _spec(
        self, body: GenerationBody, request: Request, warnings: tuple[str, ...]
    ) -> FinishSpec:
        """What is to become of the drawn pictures. Raises InvalidValue for contradictions."""
        if body.response_format == "url" and self.args.library is None:
            raise InvalidValue(
                "response_format: nothing is kept here that a URL could name; use b64_json",
                "response_format",
                "library_off",
            )
        if body.overlay is not None:
            check_names(body.overlay, self.brands)
        spec = finish_spec(body, request.headers.get("accept"))
        return replace(
            spec,
            metadata=self.maker,
            warnings=warnings,
            prompt_in_file=prompt_in_file(body.metadata, self.args.prompt_in_files),
        )

    def _keyed(
        self, spec: FinishSpec, body: GenerationBody, params: GenerationParams, given: str | None
    ) -> FinishSpec:
        """The same with an id for each file; to be found again if the request names a seed."""
        reusable = body.seed is not None
        key = request_key(self.drawn_by, params, given) if self.drawn_by and reusable else None
        return replace(spec.of(params.n), asked=asdict(params), key=key)

    def _sizes(self, body: GenerationBody) -> SizeRange:
        hires = self.profile.hires
        return hires.sizes if body.hires and hires else self.profile.sizes

    def _canvas(self, body: GenerationBody) -> tuple[int, int] | None:
        """The size that is drawn, None where only the given picture can tell.

        For several placements it lies between the narrowest and the widest.
        """
        if body.size != "auto":
            return parse_size(body.size)
        placed = [find_placement(name) for name in body.formats if name is not None]
        if not placed:
            return None
        aspects = [placement.width / placement.height for placement in placed]
        return self._sizes(body).nearest(math.sqrt(min(aspects) * max(aspects)))


def maker(profile: DiffusionProfile, drawn_by: str | None) -> dict[str, str]:
    """What every file says of what drew it. drawn_by: its identity, if it has one."""
    told = {
        "signboard": VERSION,
        "model": profile.name,
        "revision": profile.model.revision,
        "drawer": drawn_by,
    }
    return {name: value for name, value in told.items() if value is not None}


def finish_spec(body: GenerationBody, accept: str | None) -> FinishSpec:
    """What is to become of the drawn pictures. Raises InvalidValue for contradictions."""
    if body.raw(accept) and body.stream:
        raise InvalidValue(
            "stream: raw bytes come whole; ask for text/event-stream or leave stream out",
            "stream",
            "raw_is_not_streamed",
        )
    return body.finish_spec(accept, body.n)


def drawing_routes(images: Images) -> APIRouter:
    """The two routes that draw."""
    router = APIRouter(prefix="/v1/images", tags=["images"], route_class=taking(images.habits))

    @router.post("/generations", responses=ANSWERS, response_class=Response)
    async def generations(body: GenerationBody, request: Request) -> Response:
        """Draw pictures from a prompt, and set words on them."""
        assert isinstance(request, TakenRequest)
        return await images.generate(body, request)

    @router.post(
        "/edits", responses=ANSWERS, response_class=Response, openapi_extra=edit_form_schema()
    )
    async def edits(request: Request) -> Response:
        """Redraw a picture, or the part of it that a mask names, and set words on it."""
        return await images.edit(request)

    return router


def edit_form_schema() -> dict[str, Any]:
    """OpenAPI's description of the form, which is read by hand."""
    template = "#/components/schemas/{model}"
    schema = EditBody.model_json_schema(ref_template=template)
    sent = SentEditBody.model_json_schema(ref_template=template)
    kept = KeptEditBody.model_json_schema(ref_template=template)
    referring = ReferringEditBody.model_json_schema(ref_template=template)
    one = kept["$defs"]["KeptPicture"]
    kept["properties"]["image"] = one
    for model in (sent, kept, referring):
        named = model["properties"]["references"]["items"]["anyOf"]
        named[:] = [one if "$ref" in choice else choice for choice in named]
        del model["$defs"]  # GenerationBody's own are the same
    del schema["$defs"]
    file = {"type": "string", "format": "binary"}
    files = {"type": "array", "items": file, "maxItems": MAX_REFERENCES}
    pictures = {"image": {"anyOf": [file, files]}, "mask": file, "references": files}
    schema["properties"] = pictures | schema["properties"]
    schema["properties"]["overlay"] = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": "#/components/schemas/OverlaySpec"},
    }
    placements = schema["properties"]["placements"]
    schema["properties"]["placements"] = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": placements,
    }
    schema["required"] = ["prompt"]
    schema["anyOf"] = [{"required": ["image"]}, {"required": ["references"]}]
    for name, told in schema["properties"].items():
        if name not in (*pictures, "prompt"):
            schema["properties"][name] = {"anyOf": [told, {"const": ""}]}  # left empty: absent
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": schema},
                "application/json": {"schema": {"anyOf": [sent, kept, referring]}},
            },
        }
    }
