"""JSON bodies of FastAPI's own routes: read by us, taken as other clients mean them, then handed to
FastAPI, which checks them against the route's model and describes that in its document."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from serve.http.wire.habits import Habits
from serve.http.wire.named_values import read_json

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class TakenRequest(Request):
    """A request whose JSON is what was taken of it.

    warnings: what became of fields that are other servers', as of `Habits.take`.
    """

    def __init__(self, request: Request, fields: dict[str, Any], warnings: tuple[str, ...]) -> None:
        super().__init__(request.scope, request.receive)
        self.warnings = warnings
        self._sent = request
        self._fields = fields

    async def body(self) -> bytes:
        """As it was sent."""
        return await self._sent.body()

    async def json(self) -> dict[str, Any]:
        """The taken fields."""
        return self._fields


def taking(habits: Habits) -> type[APIRoute]:
    """The routes whose JSON bodies are read and taken so. Their endpoints are given a
    TakenRequest; they raise what `read_json` raises."""

    class TakingRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handle = super().get_route_handler()
            field = self.body_field
            if field is None:
                return handle
            known = field.field_info.annotation.model_fields  # type: ignore[union-attr]

            async def take(request: Request) -> Response:
                accept = request.headers.get("accept")
                fields, warnings = habits.take(await read_json(request), known, accept)
                return await handle(TakenRequest(request, fields, warnings))

            return take

    return TakingRoute
