"""The error envelope, and which error becomes which status.

Every refusal is {"error": {"message", "type", "param", "code"}}. What is not listed here is a fault
of ours: it is logged in full and answered with a bare 500.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope

from deployments.errors import (
    DeadlineMissed,
    GenerationFailed,
    InvalidValue,
    NotFound,
    NotReady,
    OutOfMemory,
    Overloaded,
    ReplicaDown,
    RequestError,
    TooLarge,
    UnsupportedFile,
)
from serve.http.wire.habits import FIXES, MEANT, shortened

NOT_READY_RETRY_S = 5
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

STATUS: dict[type[RequestError], int] = {
    InvalidValue: 400,
    NotFound: 404,
    DeadlineMissed: 408,
    TooLarge: 413,
    UnsupportedFile: 415,
    Overloaded: 429,
    GenerationFailed: 500,
    NotReady: 503,
    ReplicaDown: 503,
    OutOfMemory: 507,
}


LOST = (DeadlineMissed, GenerationFailed, OutOfMemory)
"""What a repetition by itself would meet again: OpenAI's clients repeat 408, 409, 429 and 5xx."""


class ModelNotFound(InvalidValue):
    """The request names a model that is not served here."""


STATUS[ModelNotFound] = 404


def envelope(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error response in OpenAI's shape."""
    body = envelope_body(status, message, param, code)
    return JSONResponse(body, status, headers=dict(headers or {}))


def envelope_body(
    status: int, message: str, param: str | None, code: str | None
) -> dict[str, dict[str, str | None]]:
    """An error in OpenAI's shape."""
    kind = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}.get(
        status, "invalid_request_error" if status < 500 else "server_error"
    )
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


FAULT = envelope_body(
    500, "The server failed on this request; the fault is logged.", None, "internal_error"
)


def refusal(error: RequestError) -> JSONResponse:
    """The response to an error that either room, or a route, raised."""
    headers = {} if retry_helps(error) else {"X-Should-Retry": "false"}
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    elif isinstance(error, NotReady):
        headers["Retry-After"] = str(NOT_READY_RETRY_S)
    return envelope(
        STATUS[type(error)], error.message, param=error.param, code=error.code, headers=headers
    )


def internal_error() -> JSONResponse:
    """The response to a fault of ours; says nothing of what went wrong."""
    return JSONResponse(FAULT, 500)


def retry_helps(error: RequestError) -> bool:
    """Whether the same request may be answered a little later, for all that the error says."""
    return not isinstance(error, LOST) and error.code != "deadline_unreachable"


def invalid(errors: Sequence[Mapping[str, Any]], model: type[BaseModel] | None) -> InvalidValue:
    """The first of pydantic's errors as one that names the field and the fix.

    `model` is the body's class, for the names of the fields it knows.
    """
    first = errors[0]
    path = [shortened(name) for name in _fields(first["loc"])]
    param = ".".join(path) or None
    name = path[-1] if path else ""
    if first["type"] == "extra_forbidden":
        known = list(model.model_fields) if model and len(path) == 1 else []
        meant = MEANT.get(name)
        near = [meant] if meant in known else difflib.get_close_matches(name, known, n=1)
        fix = f"did you mean {near[0]!r}?" if near else "leave it out; unknown fields are refused"
        return InvalidValue(f"{param}: not a field of this request; {fix}", param, "unknown_field")
    if first["type"] == "missing":
        return InvalidValue(f"{param or 'body'}: required", param, "missing_field")
    if first["type"] == "json_invalid":
        return InvalidValue("The body is not valid JSON.", None, "invalid_json")
    if not path:
        return InvalidValue("The body must be a JSON object.", None, "invalid_body")
    said = [str(first["msg"]).removeprefix("Value error, ")]
    hint = FIXES.get(param or "")
    if hint and first["type"] == "string_pattern_mismatch":
        said = []  # a pattern helps nobody who can be told an example
    message = "; ".join([*said, hint] if hint else said)
    return InvalidValue(f"{param}: {message}", param, "invalid_value")


def _fields(loc: Sequence[Any]) -> list[str]:
    """The names on the way to a field, without the place of the body and the type of a layer."""
    parts = [part for part in loc if part not in ("body", "query", "path")]
    return [
        str(part)
        for index, part in enumerate(parts)
        if not (index >= 2 and parts[index - 2] == "layers" and isinstance(parts[index - 1], int))
    ]


def validate(model: type[BaseModel], data: Mapping[str, Any]) -> Any:
    """`model` of `data`, or the InvalidValue that says what is wrong with it."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid(error.errors(), model) from None


async def _on_refusal(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestError)
    return refusal(error)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    field = request.scope["route"].body_field
    return refusal(invalid(error.errors(), field.field_info.annotation if field else None))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return _other_methods(request)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return envelope(error.status_code, str(error.detail), code=code, headers=error.headers)


async def _on_fault(_: Request, error: Exception) -> JSONResponse:
    return internal_error()  # Starlette raises it once more, and the outermost layer logs it


def _other_methods(request: Request) -> Response:
    """What may be asked of an address, to who asks for that (OPTIONS) or for something else."""
    allowed = ", ".join(_allowed(request))
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": allowed})
    message = f"{request.method} is not allowed here; {allowed} may be asked."
    return envelope(405, message, code="method_not_allowed", headers={"Allow": allowed})


def _allowed(request: Request) -> list[str]:
    """The methods of all routes that the address of `request` has."""
    root = request.scope.get("root_path", "")
    scope = {**request.scope, "root_path": request.scope.get("app_root_path", root)}
    return [
        method
        for method in METHODS
        if any(_takes(route, scope, method) for route in request.app.routes)
    ]


def _takes(route: BaseRoute, scope: Scope, method: str) -> bool:
    asked = "GET" if method == "HEAD" else method
    if isinstance(route, Mount) and asked != "GET":  # static files, which match whatever is asked
        return False
    return route.matches({**scope, "method": asked})[0] is Match.FULL


def install(api: FastAPI) -> None:
    """Answer every error of `api` in the envelope."""
    api.add_exception_handler(RequestError, _on_refusal)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.add_exception_handler(HTTPException, _on_http)
    api.add_exception_handler(Exception, _on_fault)
