"""What reading an upload has to tell reaches its client, however the answer is asked for."""

import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.unit.postprocess.artworks import data_url
from tests.unit.postprocess.pictures import as_file, image_file, plain

PROMPT = "a red circle on a yellow background"
URL = "/v1/images/edits"


def half_clear() -> bytes:
    rgba = np.dstack([plain(256, 256), np.full((256, 256), 255, np.uint8)])
    rgba[:, :128, 3] = 0
    return as_file(rgba)


def dots() -> bytes:
    image = Image.new("RGB", (256, 256), (240, 240, 240))
    for i in range(12):
        x, y = 20 * i, i * 37 % 200
        ImageDraw.Draw(image).ellipse((x, y, x + 14, y + 14), fill=(30, 30, 200))
    return image_file(image)


CASES: dict[str, tuple[bytes, dict[str, str], str]] = {
    "clear": (half_clear(), {"strength": "0.5"}, "taken as the mask"),
    "pieces": (dots(), {"keep": "subject"}, "many pieces"),
    "panorama": (as_file(plain(1200, 160), "JPEG"), {"strength": "0.5"}, "only the middle"),
    "profile": (as_file(plain(), icc_profile=b"junk"), {"strength": "0.5"}, "colour profile"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_answer_tells(client: httpx.Client, name: str) -> None:
    data, more, told = CASES[name]
    fields = {"prompt": PROMPT, "seed": "1", "num_inference_steps": "2", **more}

    def ask(accept: str = "application/json", **extra: str) -> httpx.Response:
        files = {"image": ("photo", data)}
        sent = {**fields, **extra}
        answer = client.post(URL, data=sent, files=files, headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        return answer

    def has(warnings: list[str]) -> bool:
        return any(told in warning for warning in warnings)

    whole: dict[str, Any] = ask().json()
    assert has(whole["warnings"])
    assert has(whole["data"][0]["warnings"])
    again = ask().json()  # from the library
    assert again["cached"]
    assert has(again["warnings"])
    assert has(json.loads(ask("image/png").headers["x-signboard-warnings"]))
    events = [
        json.loads(line[6:]) for line in ask(stream="true").text.splitlines() if "data" in line
    ]
    assert has(events[-1]["warnings"])
    record = client.get(f"/v1/images/{whole['id']}/metadata").json()
    assert has(record["warnings"])


def test_a_kept_pictures_crop_is_told_too(client: httpx.Client) -> None:
    body = {"prompt": PROMPT, "seed": 1, "num_inference_steps": 2, "size": "192x320"}
    kept = client.post("/v1/images/generations", json=body).json()["id"]
    sent = {**body, "size": "320x192", "image": {"image_id": kept}, "strength": 0.5}
    answer = client.post(URL, json=sent)
    assert answer.status_code == 200, answer.text
    assert any("only the middle" in warning for warning in answer.json()["warnings"])


def test_json_tells_as_a_form_does(client: httpx.Client) -> None:
    body = {"prompt": PROMPT, "seed": 1, "num_inference_steps": 2, "strength": 0.5}
    answer = client.post(URL, json={**body, "image": data_url(half_clear())})
    assert any("taken as the mask" in warning for warning in answer.json()["warnings"])
