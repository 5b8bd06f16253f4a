"""What the images routes answer to good requests."""

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.unit.postprocess.artworks import data_url

PROMPT = "a red circle on a yellow background"


def generate(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/images/generations", json={"prompt": PROMPT, "seed": 1, **body})
    assert answer.status_code == 200, answer.text
    facts: dict[str, Any] = answer.json()
    return facts


def edit(client: httpx.Client, photo: bytes, **fields: str) -> dict[str, Any]:
    answer = client.post(
        "/v1/images/edits",
        data={"prompt": PROMPT, "seed": "1", **fields},
        files={"image": ("photo.png", photo)},
    )
    assert answer.status_code == 200, answer.text
    facts: dict[str, Any] = answer.json()
    return facts


def picture(data: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data["b64_json"])))


def test_an_edit_in_json_is_that_of_the_form(
    client: httpx.Client, photo: bytes, mask: bytes
) -> None:
    """The form's picture and mask as data URLs: the same pixels come back."""
    fields = {"prompt": PROMPT, "seed": 1, "strength": 0.7, "size": "256x256"}
    files = {"image": ("photo.png", photo), "mask": ("mask.png", mask)}
    form = client.post(
        "/v1/images/edits", data={name: str(value) for name, value in fields.items()}, files=files
    )
    urls = {"image": data_url(photo), "mask": data_url(mask)}
    sent = client.post("/v1/images/edits", json={**fields, **urls})
    assert (form.status_code, sent.status_code) == (200, 200), (form.text, sent.text)
    first, second = (np.asarray(picture(one.json()["data"][0])) for one in (form, sent))
    assert np.array_equal(first, second)


def test_every_picture_of_a_request_has_its_own_seed(client: httpx.Client) -> None:
    answer = generate(client, n=2)
    second = generate(client, seed=2)

    assert [data["seed"] for data in answer["data"]] == [1, 2]
    together = np.asarray(picture(answer["data"][1])).astype(int)
    alone = np.asarray(picture(second["data"][0])).astype(int)
    assert np.mean(np.abs(together - alone) > 1) <= 0.001


def test_a_seed_is_drawn_and_told(client: httpx.Client) -> None:
    answer = client.post("/v1/images/generations", json={"prompt": PROMPT}).json()
    again = generate(client, seed=answer["data"][0]["seed"])

    assert again["data"][0]["b64_json"]
    first, second = (np.asarray(picture(one["data"][0])) for one in (answer, again))
    assert np.array_equal(first, second)


def test_null_means_absent(client: httpx.Client) -> None:
    assert generate(client, size=None, n=None, overlay=None)["size"] == "256x256"


def test_a_style_is_drawn_and_told(client: httpx.Client) -> None:
    plain, styled = generate(client), generate(client, style="night")

    assert (plain.get("style"), styled["style"]) == (None, "night")
    first, second = (np.asarray(picture(one["data"][0])).astype(int) for one in (plain, styled))
    assert np.abs(first - second).mean() > 20


def test_several_styles_are_drawn_together(client: httpx.Client) -> None:
    both = [{"name": "night", "weight": 0.5}, {"name": "ink"}]
    mixed, alone = generate(client, styles=both), generate(client, style="night")

    assert mixed["styles"] == both
    first, second = (np.asarray(picture(one["data"][0])).astype(int) for one in (mixed, alone))
    assert np.abs(first - second).mean() > 5
    refused = client.post("/v1/images/generations", json={"prompt": "a cat", "styles": both * 3})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "styles"


def test_quality_chooses_the_steps(client: httpx.Client) -> None:
    assert generate(client, quality="low")["steps_executed"] == 4
    assert generate(client, num_inference_steps=3)["steps_executed"] == 3


def test_a_large_picture(client: httpx.Client) -> None:
    answer = generate(client, hires=True, placement="feed_portrait")

    assert answer["drawn_size"] == "512x640"
    assert answer["steps_executed"] == 8 + 2
    assert {"steps", "enlarge", "hires_steps"} <= answer["timings_ms"].keys()
    enlarged = generate(client, size="512x640")  # without a second pass
    assert (enlarged["drawn_size"], enlarged["size"]) == ("256x320", "512x640")
    assert "with hires" in enlarged["warnings"][0]


def test_raw_bytes_come_with_the_facts_in_headers(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/images/generations",
        json={"prompt": f"{PROMPT} qzxqzx", "seed": 1},
        headers={"Accept": "image/webp"},
    )

    assert answer.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(answer.content)).format == "WEBP"
    assert answer.headers["x-signboard-seed"] == "1"
    assert answer.headers["x-signboard-steps-executed"] == "8"
    assert any("qzxqzx" in text for text in json.loads(answer.headers["x-signboard-warnings"]))
    assert "steps;dur=" in answer.headers["server-timing"]


def test_an_unknown_word_is_warned_of(client: httpx.Client) -> None:
    answer = generate(client, prompt="노란 배경 위의 빨간 원 뷁뷁")

    assert any("뷁뷁" in warning for warning in answer["warnings"])


def test_a_strength_that_ignores_the_picture_is_warned_of(
    client: httpx.Client, photo: bytes
) -> None:
    assert not any("ignored" in text for text in edit(client, photo)["warnings"])
    assert any("ignored" in text for text in edit(client, photo, strength="0.9")["warnings"])


def test_an_upload_is_fitted_to_the_nearest_recommended_size(client: httpx.Client) -> None:
    out = io.BytesIO()
    Image.new("RGB", (1920, 1080), (90, 140, 60)).save(out, "JPEG")

    assert edit(client, out.getvalue())["size"] == "320x192"


def test_an_advert(client: httpx.Client) -> None:
    answer = generate(
        client,
        placement="feed_portrait",
        output_format="jpeg",
        overlay={
            "layers": [
                {"role": "headline", "text": "아침을 깨우는 사과 한 알", "lang": "ko"},
                {"role": "price", "text": "₩4,900"},
                {"role": "cta", "text": "Order now"},
            ]
        },
    )

    (data,) = answer["data"]
    assert answer["size"] == "1080x1350"
    assert answer["drawn_size"] == "256x320"
    assert (data["width"], data["height"]) == (1080, 1350)
    assert picture(data).format == "JPEG"
    assert picture(data).size == (1080, 1350)
    layers = data["overlay"]["layers"]
    assert [layer["role"] for layer in layers] == ["headline", "price", "cta"]
    assert "".join(layers[0]["lines"]).replace(" ", "") == "아침을깨우는사과한알"
    assert all(layer["contrast_p10"] >= 4.5 for layer in layers)


def test_overlay_of_an_edit_is_json_in_its_field(client: httpx.Client, photo: bytes) -> None:
    overlay = {"layers": [{"role": "headline", "text": "Fresh"}]}

    answer = edit(client, photo, overlay=json.dumps(overlay), placement="feed_square")

    assert answer["data"][0]["overlay"]["layers"][0]["lines"] == ["Fresh"]
    assert answer["size"] == "1080x1080"
