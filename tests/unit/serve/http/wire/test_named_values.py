"""Bytes that are a JSON object, and bytes that are none."""

import asyncio
from typing import Any

import pytest
from fastapi import Request
from starlette.exceptions import HTTPException

from deployments.errors import InvalidValue
from serve.http.wire.bodies import GenerationBody
from serve.http.wire.errors import validate
from serve.http.wire.named_values import JSON, form_parts, json_object, media_type, read_json


@pytest.mark.parametrize("body", [b'{"a": [1, "\xc3\xa9"]}', b'\xef\xbb\xbf{"a": [1, "\xc3\xa9"]}'])
def test_an_object_with_or_without_a_byte_order_mark(body: bytes) -> None:
    assert json_object(body) == {"a": [1, "é"]}


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"", "invalid_json", "empty"),
        (b" \n", "invalid_json", "empty"),
        (b"{oops", "invalid_json", "The body is not valid JSON: .* column 2"),
        (b"[1]", "invalid_body", "must be a JSON object"),
        (b'"text"', "invalid_body", "must be a JSON object"),
        ('{"prompt": "노란 사과"}'.encode("cp949"), "not_utf8", "The body is not UTF-8"),
        ('{"prompt": "apple"}'.encode("utf-16"), "not_utf8", "The body is not UTF-8"),
        (b'{"a": NaN}', "invalid_json", "not valid JSON"),
        (b'{"a": -Infinity}', "invalid_json", "not valid JSON"),
        (b'{"a": "\\ud800"}', "invalid_json", "hex escape"),
        (b'{"\\udfff": 1}', "invalid_json", "surrogate"),
        (b'{"a": ' + b"[" * 100_000, "invalid_json", "recursion limit"),
        (b'{"a":' * 100_000, "invalid_json", "recursion limit"),
    ],
)
def test_what_is_none_is_refused(body: bytes, code: str, says: str) -> None:
    with pytest.raises(InvalidValue, match=says) as refused:
        json_object(body)
    assert (refused.value.param, refused.value.code) == (None, code)


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("seed", "7" * 5000),
        ("seed", "-" + "7" * 5000),
        ("n", "7" * 5000),
        ("seed", "1e999"),
        ("guidance_scale", "7" * 5000),
        ("guidance_scale", "1e999"),
        ("deadline_s", "-1e999"),
        ("strength", "7" * 350),
        ("bogus", "7" * 5000),
    ],
)
def test_a_number_beyond_reading_is_refused_by_its_field(field: str, number: str) -> None:
    fields = json_object(f'{{"prompt": "a pear", "{field}": {number}}}'.encode())
    with pytest.raises(InvalidValue, match=field) as refused:
        validate(GenerationBody, fields)
    assert refused.value.param == field
    assert len(refused.value.message) < 200


def test_a_coded_body_is_named() -> None:
    with pytest.raises(HTTPException, match="Content-Encoding: gzip") as refused:
        media_type(request({"content-encoding": "gzip"}))
    assert refused.value.status_code == 415
    assert media_type(request({"content-encoding": "identity"})) == ""


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=XX"])
def test_a_client_that_leaves_in_the_middle_is_no_fault_of_ours(kind: str) -> None:
    async def leave() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def read() -> None:
        raw = [(b"content-type", kind.encode())]
        left = Request({"type": "http", "headers": raw}, leave)
        if kind == JSON:
            await read_json(left)
        async with form_parts(left, 100):
            pass

    with pytest.raises(HTTPException, match="did not arrive whole"):
        asyncio.run(read())


def test_media_types_know_no_case() -> None:
    assert media_type(request({"content-type": "Application/JSON; Charset=UTF-8"})) == (
        "application/json"
    )


def request(headers: dict[str, str]) -> Request:
    raw: Any = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    made = Request({"type": "http", "headers": raw}, receive)
    assert asyncio.run(made.body()) == b""
    return made
