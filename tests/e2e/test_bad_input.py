"""Every refusal names the field and comes in the envelope; nothing internal shows."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.conftest import png

LEAKS = ("Traceback", ".py", str(Path.cwd()), str(Path.home()), "Deployment", "ray.", "Error(")


def assert_refused(answer: httpx.Response, status: int, param: str | None) -> str:
    """The message of a refusal with this status about this field."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param
    assert error["code"]
    assert not any(leak in answer.text for leak in LEAKS)
    assert answer.headers["x-request-id"]
    message: str = error["message"]
    return message


OVERLAY = {"layers": [{"role": "headline", "text": "x", "colour": "red"}]}


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({"bogus": 1}, "bogus", "unknown fields"),
        ({"sise": "256x256"}, "sise", "'size'"),
        ({"steps": 4}, "steps", "'num_inference_steps'"),
        ({"style": "sepia"}, "style", "night, ink"),
        ({"size": "50x256"}, "size", "multiples of 32"),
        ({"size": "8192x8192"}, "size", "between 128 and 384"),
        ({"size": "big"}, "size", "for example 256x256"),
        ({"n": 0}, "n", "1..10"),
        ({"n": 11}, "n", "1..10"),
        ({"n": "2"}, "n", "integer"),
        ({"num_inference_steps": 0}, "num_inference_steps", "1..50"),
        ({"num_inference_steps": 51}, "num_inference_steps", "1..50"),
        ({"num_inference_steps": 4, "quality": "low"}, "num_inference_steps", "quality"),
        ({"seed": -1}, "seed", "not within"),
        ({"prompt": ""}, "prompt", "at least 1"),
        ({"prompt": "   "}, "prompt", "say what to draw"),
        ({"prompt": "x" * 4001}, "prompt", "at most 4000"),
        ({"response_format": "file"}, "response_format", "Accept"),
        ({"partial_images": 2}, "partial_images", "set stream to true"),
        ({"stream": True, "partial_images": 4}, "partial_images", "0..3"),
        ({"output_format": "gif"}, "output_format", "'png'"),
        ({"output_compression": 50}, "output_compression", "png"),
        ({"negative_prompt": "a cat"}, "negative_prompt", "guidance_scale"),
        ({"deadline_s": 0}, "deadline_s", "above 0"),
        ({"placement": "billboard"}, "placement", "feed_square"),
        ({"overlay": OVERLAY}, "overlay.layers.0.colour", "unknown fields"),
    ],
)
def test_generation_fields(
    client: httpx.Client, body: dict[str, Any], param: str, says: str
) -> None:
    answer = client.post("/v1/images/generations", json={"prompt": "a red circle", **body})

    assert says in assert_refused(answer, 400, param)


def test_a_model_that_is_not_served(client: httpx.Client) -> None:
    body = {"prompt": "a red circle", "model": "sd-turbo"}

    message = assert_refused(client.post("/v1/images/generations", json=body), 404, "model")

    assert "'embedded'" in message


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"", None),
        (b"{oops", None),
        (b"[1]", None),
        (b'"text"', None),
        (b'{"n": 1}', "prompt"),
        ('{"prompt": "사과"}'.encode("cp949"), None),
        (b'{"prompt": "\\ud800"}', None),
        (b'{"prompt": "a pear", "overlay": ' + b"[" * 100_000, None),
        (b'{"prompt": "a pear", "seed": ' + b"7" * 5000 + b"}", "seed"),
        (b'{"prompt": "a pear", "guidance_scale": ' + b"7" * 400 + b"}", "guidance_scale"),
    ],
    ids=range(10),
)
def test_bodies_that_are_no_request(
    client: httpx.Client, content: bytes, param: str | None
) -> None:
    headers = {"Content-Type": "application/json"}

    answer = client.post("/v1/images/generations", content=content, headers=headers)

    assert_refused(answer, 400, param)


@pytest.mark.parametrize("route", ["/v1/images/generations", "/v1/images/edits"])
@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "Content-Type: the header is missing"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "application/json"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, "Content-Encoding"),
    ],
)
def test_bodies_that_are_not_read(
    client: httpx.Client, route: str, headers: dict[str, str], says: str
) -> None:
    answer = client.post(route, content=b'{"prompt": "a pear"}', headers=headers)

    assert says in assert_refused(answer, 415, None)


def test_raw_bytes_of_several_pictures(client: httpx.Client) -> None:
    body = {"prompt": "a red circle", "n": 2}

    answer = client.post("/v1/images/generations", json=body, headers={"Accept": "image/png"})

    assert_refused(answer, 400, "n")


def test_a_format_against_the_accept_header(client: httpx.Client) -> None:
    body = {"prompt": "a red circle", "output_format": "jpeg"}

    answer = client.post("/v1/images/generations", json=body, headers={"Accept": "image/png"})

    assert_refused(answer, 400, "output_format")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"strength": "0"}, "strength"),
        ({"strength": "1.5"}, "strength"),
        ({"strength": "half"}, "strength"),
        ({"fit": "stretch"}, "fit"),
        ({"prompt": ""}, "prompt"),
        ({"bogus": "1"}, "bogus"),
        ({"size": "50x250"}, "size"),
        ({"overlay": "{"}, "overlay"),
        ({"overlay": "[" * 50_000}, "overlay"),
        ({"seed": "7" * 5000}, "seed"),
    ],
)
def test_edit_fields(
    client: httpx.Client, photo: bytes, fields: dict[str, str], param: str
) -> None:
    answer = edit(client, photo, **fields)

    assert_refused(answer, 400, param)


def edit(client: httpx.Client, image: bytes, **fields: str) -> httpx.Response:
    return client.post(
        "/v1/images/edits",
        data={"prompt": "a red circle", **fields},
        files={"image": ("photo.png", image)},
    )


def bomb() -> bytes:
    """A PNG of some hundred bytes that declares 30000x30000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def eps() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "EPS")
    return out.getvalue()


@pytest.mark.parametrize(
    ("image", "status"),
    [
        (b"no picture at all", 415),
        (b"", 415),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', 415),
        (eps(), 415),
        (bomb(), 413),
    ],
    ids=["text", "empty", "svg", "eps", "bomb"],
)
def test_files_that_are_no_picture(client: httpx.Client, image: bytes, status: int) -> None:
    assert_refused(edit(client, image), status, "image")


def test_a_truncated_picture(client: httpx.Client, photo: bytes) -> None:
    assert_refused(edit(client, photo[: len(photo) // 2]), 415, "image")


def test_a_mask_of_another_size(client: httpx.Client, photo: bytes) -> None:
    answer = client.post(
        "/v1/images/edits",
        data={"prompt": "a red circle"},
        files={"image": ("a.png", photo), "mask": ("m.png", png(Image.new("L", (9, 9), 255)))},
    )

    assert_refused(answer, 400, "mask")


def test_a_file_beyond_the_limit(client: httpx.Client) -> None:
    assert_refused(edit(client, bytes(20 * 2**20 + 1)), 413, "image")


def test_a_body_beyond_the_limit(client: httpx.Client) -> None:
    assert_refused(edit(client, bytes(42 * 2**20)), 413, None)


def test_forms_that_are_no_edit(client: httpx.Client, photo: bytes) -> None:
    fields = {"prompt": "a red circle"}
    as_json = client.post("/v1/images/edits", json=fields)
    without = client.post("/v1/images/edits", data=fields, files={"mask": ("m.png", photo)})
    as_text = client.post("/v1/images/edits", data={"image": "x"}, files={"mask": ("m", photo)})
    twice = client.post(
        "/v1/images/edits", data=fields, files=[("image", photo), ("image[]", photo)]
    )

    assert_refused(as_json, 400, "image")
    assert_refused(without, 400, "image")
    assert_refused(as_text, 400, "image")
    assert_refused(twice, 400, "image")


def test_addresses_and_methods_that_are_not_there(client: httpx.Client) -> None:
    assert_refused(client.get("/v1/nothing"), 404, None)
    assert_refused(client.get("/v1/models/nothing"), 404, "model")
    assert_refused(client.get("/v1/images/generations"), 405, None)
