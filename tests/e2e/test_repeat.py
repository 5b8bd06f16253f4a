"""What a file says of itself makes the same picture again, drawn anew, bit for bit.

The kept result is removed before each repetition, so that the library cannot answer; an edit's
source and mask stay.
"""

import base64
import io
import json
import secrets
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deployments.postprocess.files import xmp
from serve.commands import cli
from serve.commands.local import Running
from tests.unit.postprocess.artworks import url
from tests.unit.postprocess.pictures import disc

PROMPT = "a blue square on a green background"
APPLE = url(disc(64, 64))
WORDS = {
    "layers": [{"role": "headline", "text": "지금 주문하세요"}, {"role": "cta", "text": "Order"}],
    "ai_label": "both",
}
FORMATS = ("png", "jpeg", "webp", "avif")
ASKED: dict[str, dict[str, Any]] = {
    "plain": {},
    "words": {"overlay": WORDS, "placement": "feed_portrait", "output_compression": 85},
    "style": {"style": "night", "guidance_scale": 2.0, "negative_prompt": "red", "quality": "low"},
    "several": {"n": 3, "size": "256x320"},
}


def pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def sound(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def files(answer: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(data["b64_json"]) for data in answer["data"]]


def inspect(client: httpx.Client, file: bytes) -> dict[str, Any]:
    return sound(client.post("/v1/images/inspect", files={"image": ("a", file)}))


def forget_result(client: httpx.Client, service: Running, picture_id: str) -> None:
    """Remove the result that would answer the same request; the picture itself stays."""
    key = client.get(f"/v1/images/{picture_id}/metadata").json()["result"]
    result = Path(service.library) / "objects" / key[:2] / key
    result.unlink()


def repeated(client: httpx.Client, service: Running, file: bytes) -> tuple[bytes, dict[str, Any]]:
    """The picture of `file`, drawn once more by what it says; and the server's answer."""
    told = inspect(client, file)
    assert told["kept"]
    assert told["warnings"] == []
    forget_result(client, service, told["making"]["id"])
    repeat = told["repeat"]
    answer = sound(client.post(repeat["route"], json=repeat["body"]))
    assert not answer["cached"]
    return files(answer)[repeat["index"]], answer


def fields(body: dict[str, Any]) -> dict[str, str]:
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in body.items()}


@pytest.fixture
def seed() -> int:
    """One that nothing was drawn with before."""
    return secrets.randbelow(2**40)


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("kind", list(ASKED))
def test_a_generation(
    client: httpx.Client, service: Running, seed: int, output: str, kind: str
) -> None:
    body = {"prompt": PROMPT, "seed": seed, "output_format": output, **ASKED[kind]}
    if output == "png":
        body.pop("output_compression", None)
    first = sound(client.post("/v1/images/generations", json=body))
    assert not first["cached"]

    for file in files(first)[-1:]:
        again, answer = repeated(client, service, file)

        assert np.array_equal(pixels(again), pixels(file))
        assert answer["steps_executed"] == first["steps_executed"]
        assert differing_facts(file, again) == {"id"}


def differing_facts(file: bytes, other: bytes) -> set[str]:
    one, two = (xmp.read(data) for data in (file, other))
    assert one.source_type == two.source_type == xmp.SOURCE_TYPE
    assert one.description == two.description
    return {name for name, _ in set(one.facts.items()) ^ set(two.facts.items())}


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("masked", [False, True], ids=["edit", "inpaint"])
def test_an_edit_from_its_kept_source(
    client: httpx.Client,
    service: Running,
    photo: bytes,
    mask: bytes,
    seed: int,
    output: str,
    masked: bool,
) -> None:
    given = {"image": ("photo.png", photo)} | ({"mask": ("m.png", mask)} if masked else {})
    body = {"prompt": PROMPT, "seed": seed, "strength": 0.7, "overlay": WORDS, "fit": "pad"}
    asked = fields({**body, "size": "256x320", "output_format": output})
    first = sound(client.post("/v1/images/edits", data=asked, files=given))
    (file,) = files(first)

    again, answer = repeated(client, service, file)

    assert np.array_equal(pixels(again), pixels(file))
    assert answer["steps_executed"] == first["steps_executed"]
    assert differing_facts(file, again) == {"id"}
    twice, _ = repeated(client, service, again)  # which keeps the source as well
    assert np.array_equal(pixels(twice), pixels(file))


def test_other_words_over_a_kept_edit(
    client: httpx.Client, service: Running, photo: bytes, mask: bytes, seed: int
) -> None:
    given = {"image": ("photo.png", photo), "mask": ("m.png", mask)}
    first = sound(
        client.post("/v1/images/edits", data={"prompt": PROMPT, "seed": str(seed)}, files=given)
    )
    forget_result(client, service, first["id"])
    body = {"overlay": WORDS, "placement": "story", "output_format": "jpeg"}
    other = sound(client.post(f"/v1/images/{first['id']}/overlays", json=body))
    client.delete(f"/v1/images/{first['id']}")
    (file,) = files(other)

    repeat = inspect(client, file)["repeat"]
    answer = sound(client.post(repeat["route"], json=repeat["body"]))

    assert not answer["cached"]
    assert np.array_equal(pixels(files(answer)[0]), pixels(file))


def test_a_kept_picture_is_edited_by_its_id(client: httpx.Client, seed: int) -> None:
    first = sound(client.post("/v1/images/generations", json={"prompt": PROMPT, "seed": seed}))
    body = {"prompt": "a red square on a green background", "seed": seed, "strength": 0.8}
    by_id = sound(
        client.post("/v1/images/edits", json={**body, "image": {"image_id": first["id"]}})
    )
    uploaded = sound(
        client.post(
            "/v1/images/edits", data=fields(body), files={"image": ("a.png", files(first)[0])}
        )
    )

    assert np.array_equal(pixels(files(by_id)[0]), pixels(files(uploaded)[0]))
    assert uploaded["cached"]  # it is the same request


def test_an_edit_whose_source_is_gone(client: httpx.Client, photo: bytes, seed: int) -> None:
    data = {"prompt": PROMPT, "seed": str(seed)}
    answer = client.post("/v1/images/edits", data=data, files={"image": ("a.png", photo)})
    (file,) = files(sound(answer))
    client.delete(f"/v1/images/{answer.json()['id']}")

    told = inspect(client, file)
    refused = client.post(told["repeat"]["route"], json=told["repeat"]["body"])

    assert not told["kept"]
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "image_not_found"


@pytest.mark.parametrize("accept", [None, "image/jpeg"])
def test_files_without_prompts(client: httpx.Client, seed: int, accept: str | None) -> None:
    body = {"prompt": PROMPT, "seed": seed, "metadata": "no_prompt"}
    headers = {"Accept": accept} if accept else {}
    answer = client.post("/v1/images/generations", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    file = answer.content if accept else files(answer.json())[0]
    picture_id = xmp.read(file).facts["id"]
    final = client.get(f"/v1/images/{picture_id}").content
    clean = client.get(f"/v1/images/{picture_id}", params={"variant": "clean"}).content
    words = client.post(f"/v1/images/{picture_id}/overlays", json={"overlay": WORDS}).json()

    for one in (file, final, clean, *files(words)):
        assert PROMPT.encode() not in one
        assert xmp.read(one).facts["seed"] == str(seed)
        assert inspect(client, one)["repeat"]["body"]["prompt"] == PROMPT  # which the record has
    client.delete(f"/v1/images/{picture_id}")
    told = inspect(client, file)
    assert told["repeat"] is None
    assert "prompt" in told["warnings"][0]


def test_the_command(
    client: httpx.Client,
    service: Running,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    seed: int,
) -> None:
    body = {"prompt": PROMPT, "seed": seed, "overlay": WORDS, "output_format": "avif"}
    path = tmp_path / "advert.avif"
    path.write_bytes(files(sound(client.post("/v1/images/generations", json=body)))[0])

    assert cli.main(["inspect", str(path)]) == 0
    assert PROMPT in capsys.readouterr().out
    assert cli.main(["inspect", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["repeat"] == inspect(client, path.read_bytes())["repeat"]
    forget_result(client, service, told["making"]["id"])
    assert cli.main(["inspect", str(path), "--repeat", "--url", service.url]) == 0
    assert np.array_equal(
        pixels((tmp_path / "advert-repeated.avif").read_bytes()), pixels(path.read_bytes())
    )
    other = tmp_path / "other.txt"
    other.write_text("no picture")
    assert cli.main(["inspect", str(other)]) == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "image"),
        ({"image": "https://example.com/apple.png"}, "image"),
        ({"image": "data:image/png;base64,%%"}, "image"),
        ({"image": APPLE, "mask": "apple.png"}, "mask"),
        ({"image": {"image_id": "../../etc/passwd"}}, "image.image_id"),
        ({"image": {"image_id": "img_" + "0" * 44, "variant": "final"}}, "image.variant"),
        ({"image": {"image_id": "img_" + "0" * 44}, "metadata": "none"}, "metadata"),
        ({"image": {"image_id": "img_" + "0" * 44}, "mask": APPLE}, "mask"),
    ],
)
def test_json_edits_that_are_refused(
    client: httpx.Client, body: dict[str, Any], param: str
) -> None:
    refused = client.post("/v1/images/edits", json={"prompt": PROMPT, **body})

    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == param


def test_files_that_cannot_be_inspected(client: httpx.Client, photo: bytes) -> None:
    route = "/v1/images/inspect"
    assert client.post(route, json={}).status_code == 415
    assert client.post(route, files={"image": ("a", b"no picture")}).status_code == 415
    assert client.post(route, files={"picture": ("a", photo)}).status_code == 400
    extra = client.post(route, files={"image": ("a", photo)}, data={"prompt": "x"})
    assert extra.json()["error"]["param"] == "prompt"
    told = inspect(client, photo)
    assert (told["format"], told["making"], told["repeat"], told["kept"]) == (
        "png",
        {},
        None,
        False,
    )
