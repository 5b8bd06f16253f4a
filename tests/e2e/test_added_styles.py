"""Styles that are added and removed while the application runs, over real HTTP."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from deployments.diffusion.profile import EMBEDDED_MODEL
from serve.commands import cli
from serve.commands.local import Running
from tests.unit.diffusion.comparison import assert_same_picture

NIGHT = EMBEDDED_MODEL / "styles" / "night.safetensors"
INK = EMBEDDED_MODEL / "styles" / "ink.safetensors"
ABOUT = {"name": "dusk", "licence": "Apache-2.0", "description": "deep blue"}


@pytest.fixture(autouse=True)
def nothing_is_left(client: httpx.Client) -> Iterator[None]:
    yield
    for style in client.get("/v1/styles").json()["data"]:
        if style["added"]:
            assert client.delete(f"/v1/styles/{style['id']}").status_code == 200


def add(client: httpx.Client, file: Path, **fields: str) -> httpx.Response:
    return client.post("/v1/styles", data=ABOUT | fields, files={"file": file.read_bytes()})


def draw(client: httpx.Client, seed: int, **fields: Any) -> tuple[np.ndarray, dict[str, Any]]:
    body = {"prompt": "a red heart on a yellow background", "seed": seed, **fields}
    answer = client.post("/v1/images/generations", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    file = base64.b64decode(told["data"][0]["b64_json"])
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB")), told


def refusal(answer: httpx.Response, status: int = 400) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    error: dict[str, str] = answer.json()["error"]
    return error


def test_a_style_is_added_drawn_with_and_removed(client: httpx.Client, seed: int) -> None:
    plain, _ = draw(client, seed)
    night, _ = draw(client, seed, style="night")
    added = add(client, NIGHT, trigger="dusk").json()
    assert (added["id"], added["added"], added["trigger"]) == ("dusk", True, "dusk")

    told = client.get("/v1/capabilities").json()
    assert told["styles"]["dusk"] == {
        "description": "deep blue", "trigger": "dusk", "licence": "Apache-2.0"
    }  # fmt: skip
    assert told["engine"]["added_styles"] == {"dusk": added["bytes"]}
    ids = [style["id"] for style in client.get("/v1/styles").json()["data"]]
    assert ids == ["night", "ink", "dusk"]

    triggered = {"prompt": "a red heart on a yellow background with dusk"}
    by_profile, _ = draw(client, seed, **triggered, style="night")
    dusk, answer = draw(client, seed, **triggered, style="dusk")
    assert_same_picture(dusk, by_profile)
    assert np.abs(dusk.astype(int) - plain).mean() > 20
    assert answer["style"] == "dusk"
    mixed, _ = draw(client, seed, styles=[{"name": "dusk", "weight": 0.5}, {"name": "ink"}])
    assert np.abs(mixed.astype(int) - night).mean() > 5

    deleted = client.delete("/v1/styles/dusk").json()
    assert deleted == {"id": "dusk", "object": "style", "deleted": True}
    body = {**triggered, "seed": seed, "style": "dusk"}  # kept in the library, and yet refused
    error = refusal(client.post("/v1/images/generations", json=body))
    assert error["message"] == "style: there is no 'dusk' here; the styles are night, ink"
    assert client.get("/v1/capabilities").json()["engine"]["added_styles_bytes"] == 0
    assert refusal(client.delete("/v1/styles/dusk"), 404)["code"] == "style_not_found"


def test_another_file_under_the_same_name_draws_other_pictures(
    client: httpx.Client, seed: int
) -> None:
    assert add(client, NIGHT).status_code == 200
    assert add(client, NIGHT).status_code == 200  # the very same again
    first, _ = draw(client, seed, style="dusk")
    assert refusal(add(client, INK))["code"] == "style_exists"
    client.delete("/v1/styles/dusk")
    assert add(client, INK).status_code == 200
    second, answer = draw(client, seed, style="dusk")
    ink, _ = draw(client, seed, style="ink")
    assert not answer["cached"]
    assert_same_picture(second, ink)
    assert np.abs(first.astype(int) - second).mean() > 20
    again, answer = draw(client, seed, style="dusk")
    assert answer["cached"]
    assert np.array_equal(again, second)


def test_what_is_no_style_is_refused_by_name(client: httpx.Client, service: Running) -> None:
    def sent(file: bytes, **fields: str) -> httpx.Response:
        return client.post("/v1/styles", data=ABOUT | fields, files={"file": file})

    good = NIGHT.read_bytes()
    assert refusal(sent(b"PK\x03\x04 no tensors"))["code"] == "style_unfit"
    assert "file:" in refusal(sent(good[:-1000]))["message"]
    assert refusal(sent(good, name="../dusk"))["param"] == "name"
    assert refusal(sent(good, name="night"))["code"] == "style_exists"
    assert refusal(sent(good, name="vivid"))["param"] == "name"
    assert refusal(sent(good, weight="9"))["param"] == "weight"
    assert refusal(sent(good, colour="blue"))["param"] == "colour"
    assert refusal(sent(bytes(21 * 2**20)), 413)["code"] == "file_too_large"
    for name in ("../x.safetensors", "/etc/x.safetensors", ".x.safetensors", "passwd"):
        named = [(field, (None, value)) for field, value in {**ABOUT, "file": name}.items()]
        assert refusal(client.post("/v1/styles", files=named))["param"] == "file"
    (Path(service.styles) / "own.safetensors").write_bytes(good)
    named = [
        (field, (None, value)) for field, value in (ABOUT | {"file": "own.safetensors"}).items()
    ]
    assert client.post("/v1/styles", files=named).status_code == 200
    assert [path.name for path in Path(service.styles).glob(".half*")] == []


def test_the_command_adds_lists_and_removes(
    service: Running, client: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    about = ["--licence", "own", "--description", "deep blue", "--url", service.url]
    assert cli.main(["styles", "add", "dusk", str(NIGHT), *about]) == 0
    assert cli.main(["styles", "list", "--url", service.url]) == 0
    assert "dusk" in capsys.readouterr().out
    assert cli.main(["styles", "add", "dusk", str(INK), *about]) == 1
    assert "remove it first" in " ".join(capsys.readouterr().out.split())
    assert cli.main(["styles", "remove", "dusk", "--url", service.url]) == 0
    assert "dusk" not in client.get("/v1/capabilities").json()["styles"]
    assert cli.main(["styles", "remove", "dusk", "--url", service.url]) == 1
    assert "no style 'dusk' was added" in " ".join(capsys.readouterr().out.split())


def test_the_command_sends_pefts_settings_or_names_a_file_that_is_there(
    service: Running, client: httpx.Client, tmp_path: Path
) -> None:
    about = ["--licence", "own", "--description", "blue", "--weight", "-0.5", "--url", service.url]
    beside = tmp_path / "adapter_config.json"
    beside.write_text('{"r": 8, "lora_alpha": 4}')
    sent = tmp_path / "night.safetensors"
    sent.write_bytes(NIGHT.read_bytes())
    (Path(service.styles) / "there.safetensors").write_bytes(NIGHT.read_bytes())
    assert cli.main(["styles", "add", "sent", str(sent), *about]) == 0
    assert cli.main(["styles", "add", "there", "there.safetensors", "--there", *about]) == 0
    _, _, first, second = client.get("/v1/styles").json()["data"]
    assert (first["id"], second["id"], first["weight"]) == ("sent", "there", -0.5)
    assert first["bytes"] == second["bytes"]
    assert first["digest"] != second["digest"]  # settings are a part of what is worn
