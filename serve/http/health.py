"""GET /health/live and /health/ready."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from serve.http.errors import NOT_READY_RETRY_S
from serve.http.rooms import Rooms


def routes(rooms: Rooms) -> APIRouter:
    """The health of the application."""
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
