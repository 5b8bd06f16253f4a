"""What is served here, within which bounds, and whether it is ready."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor

from deployments.diffusion.profile import DiffusionProfile
from deployments.postprocess.design import Brand, find_template, template_names
from deployments.postprocess.schema import MAX_FILES, MAX_PIXELS, PLACEMENTS
from deployments.postprocess.typesetting import fonts
from serve.http.rooms import Rooms
from serve.http.routes.styles import Styles
from serve.http.wire import (
    FORMATS,
    MAX_PROMPT_CHARACTERS,
    NOT_READY_RETRY_S,
    ErrorAnswer,
    ModelNotFound,
    refusals,
)
from serve.settings import AppArgs


class ModelName(Convertor[str]):
    """Names of models in addresses, which may have slashes within."""

    regex = "[^/](?:.*[^/])?"

    def convert(self, value: str) -> str:
        """The name as it stands."""
        return value

    def to_string(self, value: str) -> str:
        """The name as it stands."""
        return value


register_url_convertor("model_name", ModelName())


class Readiness(BaseModel):
    """The state of the model's engine, and why it is not ready."""

    state: str
    reason: str | None


NOT_READY = {
    **refusals()[503],
    "model": Readiness | ErrorAnswer,
    "description": "Not ready: see `state`; or not there at all.",
}
READINESS = refusals() | {200: {"model": Readiness}, 503: NOT_READY}


def model_routes(
    rooms: Rooms,
    profile: DiffusionProfile,
    args: AppArgs,
    brands: Mapping[str, Brand],
    styles: Styles,
) -> APIRouter:
    """The served model, and what may be asked of it."""
    router = APIRouter(prefix="/v1", tags=["models"])

    def check(name: str) -> None:
        if name not in names:
            raise ModelNotFound(f"model: {name!r} is not served here", "model", "model_not_found")

    names = (profile.name, *args.aliases)

    def told(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": 0, "owned_by": "signboard"}

    @router.get("/models", responses=refusals())
    @router.get("/models/", include_in_schema=False)  # else an empty name of the route below
    async def models() -> dict[str, Any]:
        """The one model that is served, by all of its names, in OpenAI's shape."""
        return {"object": "list", "data": [told(name) for name in names]}

    if args.operator_routes:

        @router.get("/models/{name:model_name}/weights", responses=refusals(404))
        async def weights(name: str) -> dict[str, int]:
            """Bytes of weights in memory, and how many of them are there a second time."""
            check(name)
            return await rooms.weights()

    @router.get("/models/{name:model_name}", responses=refusals(404))
    async def one_model(name: str) -> dict[str, Any]:
        """The served model by name."""
        check(name)
        return told(name)

    @router.get("/capabilities", responses=refusals())
    async def capabilities() -> dict[str, Any]:
        """Sizes, limits, defaults, formats, and the counters of both rooms as they stand."""
        engine, library, described = await asyncio.gather(
            rooms.state(), rooms.library(), styles.described()
        )
        return {
            "model": profile.name,
            "sizes": profile.sizes.model_dump(mode="json"),
            "hires": profile.hires and profile.hires.model_dump(mode="json"),
            "steps": profile.steps.model_dump(mode="json"),
            "guidance": profile.guidance.model_dump(mode="json"),
            "references": profile.references and profile.references.model_dump(mode="json"),
            "default_strength": profile.default_strength,
            "styles": described,
            "limits": {
                "n": profile.max_n,
                "prompt_characters": MAX_PROMPT_CHARACTERS,
                "prompt_tokens": profile.engine.max_prompt_tokens,
                "files": MAX_FILES,
                "file_pixels": MAX_PIXELS,
                "upload_bytes": args.max_upload_bytes,
                "upload_pixels": args.max_pixels,
                "request_timeout_s": args.request_timeout_s,
            },
            "output_formats": [name for name in FORMATS.values() if name != "any"],
            "files": {
                "prompt": args.prompt_in_files,
                "credentials": args.credentials is not None,
            },
            "fonts": fonts.described(),
            "placements": {
                name: f"{placement.width}x{placement.height}"
                for name, placement in PLACEMENTS.items()
            },
            "templates": {name: find_template(name).about for name in template_names()},
            "brands": {
                name: brand.model_dump(mode="json", include={"faces", "colours", "tone"})
                for name, brand in brands.items()
            },
            "engine": engine,
            "library": library,
        }

    return router


def health_routes(rooms: Rooms) -> APIRouter:
    """Whether the application answers, and whether pictures can be asked for; the way in."""
    router = APIRouter(tags=["health"])

    @router.get("/", include_in_schema=False)
    async def entrance(request: Request) -> RedirectResponse:
        """To the documentation, for who comes by the address alone."""
        return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")

    @router.get("/health/live", responses=refusals())
    async def live() -> dict[str, str]:
        """Whether the front of the house answers."""
        return {"status": "ok"}

    @router.get("/health", responses=READINESS, response_class=JSONResponse)
    @router.get("/health/ready", responses=READINESS, response_class=JSONResponse)
    async def ready() -> JSONResponse:
        """Whether pictures can be asked for; `state` and `reason` say why not."""
        state = await rooms.state()
        answer = Readiness(state=state["phase"], reason=state["reason"]).model_dump()
        if state["phase"] in ("ready", "sleeping"):  # a request wakes it
            return JSONResponse(answer)
        return JSONResponse(answer, 503, headers={"Retry-After": str(NOT_READY_RETRY_S)})

    return router
