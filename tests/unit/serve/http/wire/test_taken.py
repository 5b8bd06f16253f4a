"""A FastAPI route whose bodies are taken as other clients mean them."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request

from serve.http.wire import errors
from serve.http.wire.bodies import GenerationBody
from serve.http.wire.habits import Habits
from serve.http.wire.taken import TakenRequest, taking
from serve.profiles import load_profile

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def api() -> FastAPI:
    """One route that says what it was given."""
    habits = Habits(load_profile("embedded"), aliases=("dall-e-3",))
    router = APIRouter(route_class=taking(habits))

    @router.post("/draw")
    async def draw(body: GenerationBody, request: Request) -> dict[str, Any]:
        assert isinstance(request, TakenRequest)
        return {**body.model_dump(exclude_unset=True), "warnings": request.warnings}

    @router.get("/draw")
    async def nothing() -> dict[str, Any]:
        return {}

    made = FastAPI()
    made.include_router(router)
    errors.install(made)
    return made


def ask(api: FastAPI, method: str, **request: Any) -> httpx.Response:
    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.request(method, "/draw", **request)

    return asyncio.run(answer())


def test_the_route_is_given_what_was_taken_and_what_was_not(api: FastAPI) -> None:
    told = ask(api, "POST", json={"prompt": "a pear", "model": "dall-e-3", "user": "u"}).json()

    assert (told["model"], told["response_format"]) == ("embedded", "url")
    assert [warning.partition(":")[0] for warning in told["warnings"]] == ["user", "model"]


def test_a_raw_picture_is_no_url(api: FastAPI) -> None:
    body = {"prompt": "a pear", "model": "dall-e-3"}
    told = ask(api, "POST", json=body, headers={"Accept": "image/png"}).json()

    assert "response_format" not in told


@pytest.mark.parametrize(
    ("request_", "status", "param"),
    [
        ({"json": {"prompt": "a pear", "seed": "x"}}, 400, "seed"),
        ({"json": {"prompt": "a pear", "steps": 4}}, 400, "steps"),
        ({"json": {"size": "256x256"}}, 400, "prompt"),
        ({"content": b"[" * 100_000, "headers": JSON}, 400, None),
        ({"content": b'{"prompt": "a pear"}'}, 415, None),
        ({"content": b"x", "headers": {**JSON, "Content-Encoding": "gzip"}}, 415, None),
    ],
)
def test_what_is_wrong_comes_in_the_envelope(
    api: FastAPI, request_: dict[str, Any], status: int, param: str | None
) -> None:
    answer = ask(api, "POST", **request_)

    assert answer.status_code == status
    assert answer.json()["error"]["param"] == param


def test_the_document_still_tells_the_body(api: FastAPI) -> None:
    content = api.openapi()["paths"]["/draw"]["post"]["requestBody"]["content"]

    assert content == {
        "application/json": {"schema": {"$ref": "#/components/schemas/GenerationBody"}}
    }


def test_a_route_without_a_body_is_as_it_was(api: FastAPI) -> None:
    assert ask(api, "GET").json() == {}
