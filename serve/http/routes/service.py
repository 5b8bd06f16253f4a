"""What is served here, within which bounds, and whether it is ready."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from deployments.diffusion.profile import DiffusionProfile
from deployments.postprocess.design import Brand, find_template, template_names
from deployments.postprocess.schema import MAX_FILES, MAX_PIXELS, PLACEMENTS
from deployments.postprocess.typesetting import fonts
from serve.http.rooms import Rooms
from serve.http.wire import FORMATS, MAX_PROMPT_CHARACTERS, NOT_READY_RETRY_S, ModelNotFound
from serve.settings import AppArgs


def model_routes(
    rooms: Rooms, profile: DiffusionProfile, args: AppArgs, brands: Mapping[str, Brand]
) -> APIRouter:
    """The served model, and what may be asked of it."""
    router = APIRouter(prefix="/v1", tags=["models"])

    def check(name: str) -> None:
        if name not in names:
            raise ModelNotFound(f"model: {name!r} is not served here", "model", "model_not_found")

    names = (profile.name, *args.aliases)

    def told(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": 0, "owned_by": "signboard"}

    @router.get("/models")
    async def models() -> dict[str, Any]:
        """The one model that is served, by all of its names, in OpenAI's shape."""
        return {"object": "list", "data": [told(name) for name in names]}

    if args.operator_routes:

        @router.get("/models/{name:path}/weights")
        async def weights(name: str) -> dict[str, int]:
            """Bytes of weights in memory, and how many of them are there a second time."""
            check(name)
            return await rooms.weights()

    @router.get("/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        """The served model by name."""
        check(name)
        return told(name)

    @router.get("/capabilities")
    async def capabilities() -> dict[str, Any]:
        """Sizes, limits, defaults, formats, and the counters of both rooms as they stand."""
        engine, library = await asyncio.gather(rooms.state(), rooms.library())
        return {
            "model": profile.name,
            "sizes": profile.sizes.model_dump(mode="json"),
            "hires": profile.hires and profile.hires.model_dump(mode="json"),
            "steps": profile.steps.model_dump(mode="json"),
            "guidance": profile.guidance.model_dump(mode="json"),
            "default_strength": profile.default_strength,
            "styles": {
                name: style.model_dump(include={"description", "trigger", "licence"})
                for name, style in profile.styles.items()
            },
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
    """Whether the application answers, and whether pictures can be asked for."""
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live")
    async def live() -> dict[str, str]:
        """Whether the front of the house answers."""
        return {"status": "ok"}

    @router.get("/ready", responses={503: {"description": "Not ready: see `state`."}})
    async def ready() -> JSONResponse:
        """Whether pictures can be asked for; `state` and `reason` say why not."""
        state = await rooms.state()
        answer: dict[str, Any] = {"state": state["phase"], "reason": state["reason"]}
        if state["phase"] in ("ready", "sleeping"):  # a request wakes it
            return JSONResponse(answer)
        return JSONResponse(answer, 503, headers={"Retry-After": str(NOT_READY_RETRY_S)})

    return router
