"""What the OpenAPI document tells of answers that are none of a route's own: every refusal."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

Responses = dict[int | str, dict[str, Any]]

REFUSALS: Mapping[int, str] = {
    400: "What was sent cannot be done as it stands; `param` names the field.",
    404: "There is no such picture, model or address.",
    408: "It took longer than the server allows, or than `deadline_s`; or the request itself did "
    "not come in time.",
    413: "More bytes than are taken.",
    415: "Not a media type, or not a kind of file, that is taken.",
    416: "The file has no such bytes.",
    429: "The queue is full, or the deadline cannot be met; see Retry-After.",
    431: "The request line and the headers are too large.",
    500: "A fault of the server, which is logged.",
    503: "Not ready, or not available; see Retry-After.",
    507: "The device's memory does not suffice for this picture.",
}
ALWAYS = (408, 429, 431, 500, 503)
"""What any route may answer: of these, the proxy before it knows each too."""

RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds until it is worth another try.",
        "schema": {"type": "integer", "minimum": 0},
    }
}


class Refusal(BaseModel):
    """Why a request was not done. param: the field at fault. code: what it is, for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """The body of every refusal, in OpenAI's shape."""

    error: Refusal


def refusals(*statuses: int) -> Responses:
    """A route's refusals for FastAPI's `responses`: these, and those that any route may answer."""
    return {
        status: {
            "model": ErrorAnswer,
            "description": REFUSALS[status],
            **({"headers": RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in sorted({*statuses, *ALWAYS})
    }


def without_422(api: FastAPI) -> None:
    """Take FastAPI's own refusal out of the document of `api`: here it is a 400."""
    made = api.openapi

    def openapi() -> dict[str, Any]:
        schema = made()
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(name, None)
        return schema

    api.openapi = openapi  # type: ignore[method-assign]
