"""Edits as JSON with data URLs, read as the form is."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import Request
from starlette.exceptions import HTTPException

from deployments.errors import InvalidValue, TooLarge
from serve.http.wire.bodies import KeptPicture
from serve.http.wire.uploads import EditForm, read_edit
from tests.unit.postprocess.artworks import data_url
from tests.unit.postprocess.pictures import as_file, plain

LIMIT = 100_000
FILE = as_file(plain(8, 8))
KEPT = {"image_id": "img_" + "0" * 44}


def read(kind: str = "application/json", **fields: Any) -> EditForm:
    return sent(json.dumps({"prompt": "a pear", **fields}).encode(), kind)


def sent(body: bytes, kind: str) -> EditForm:

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "headers": [(b"content-type", kind.encode())]}
    return asyncio.run(read_edit(Request(scope, receive), LIMIT))


def test_a_picture_and_its_mask_come_as_data_urls() -> None:
    mask = as_file(plain(8, 8, (255, 255, 255)), "WEBP")
    form = read(image=data_url(FILE), mask=data_url(mask, "WEBP"), strength=0.5)
    assert (form.image, form.mask) == (FILE, mask)
    assert form.body.strength == 0.5
    assert read(image=data_url(FILE)).mask is None


@pytest.mark.parametrize("kind", ["Application/JSON", "application/json ; charset=utf-8"])
def test_a_json_body_is_told_by_its_media_type_in_any_case(kind: str) -> None:
    assert read(kind, image=data_url(FILE)).image == FILE


@pytest.mark.parametrize("kind", ["multipart/form-data", "Multipart/Form-Data"])
def test_a_form_is_told_by_its_media_type_in_any_case(kind: str) -> None:
    name = b'Content-Disposition: form-data; name="'
    prompt = name + b'prompt"\r\n\r\na pear\r\n'
    image = name + b'image"; filename="a.png"\r\n\r\n' + FILE + b"\r\n"
    body = b"--XX\r\n" + prompt + b"--XX\r\n" + image + b"--XX--\r\n"
    assert sent(body, f"{kind}; boundary=XX").image == FILE


@pytest.mark.parametrize("kind", ["application/jsonp", "multipart/form-data-x", "text/plain"])
def test_other_media_types_are_refused(kind: str) -> None:
    with pytest.raises(HTTPException, match="415"):
        read(kind, image=data_url(FILE))


def test_a_kept_picture_is_still_named_by_its_id() -> None:
    form = read(image=KEPT)
    assert isinstance(form.image, KeptPicture)
    assert form.mask is None


@pytest.mark.parametrize(
    ("fields", "error", "param", "code"),
    [
        ({"image": "https://example.com/a.png"}, InvalidValue, "image", "invalid_value"),
        ({"image": "data:image/svg+xml;base64,AAAA"}, InvalidValue, "image", "invalid_value"),
        ({"image": data_url(FILE) + "%"}, InvalidValue, "image", "invalid_base64"),
        ({"image": data_url(FILE) + "é"}, InvalidValue, "image", "invalid_base64"),
        ({"image": data_url(b"x" * (LIMIT + 9))}, TooLarge, "image", "too_many_bytes"),
        ({"image": data_url(FILE), "mask": "a.png"}, InvalidValue, "mask", "invalid_value"),
        ({"image": KEPT, "mask": data_url(FILE)}, InvalidValue, "mask", "unknown_field"),
        ({"image": [data_url(FILE)]}, InvalidValue, "image", "invalid_value"),
        ({}, InvalidValue, "image", "missing_field"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused_by_its_field(
    fields: dict[str, Any], error: type[InvalidValue | TooLarge], param: str, code: str
) -> None:
    with pytest.raises(error) as caught:
        read(**fields)
    assert (caught.value.param, caught.value.code) == (param, code)
