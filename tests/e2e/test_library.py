"""A repeated prompt encodes nothing, a repeated request runs no step; what is kept is served."""

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from numpy.typing import NDArray
from PIL import Image

from serve.commands.local import Running
from tests.e2e.watch import Watch

PROMPT = "a blue square on a green background"
WORDS = {"layers": [{"role": "headline", "text": "지금 주문하세요"}]}


def generate(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/images/generations", json={"prompt": PROMPT, **body})
    assert answer.status_code == 200, answer.text
    facts: dict[str, Any] = answer.json()
    return facts


def edit(client: httpx.Client, image: bytes, **fields: str) -> dict[str, Any]:
    files = {"image": ("photo.png", image)}
    answer = client.post("/v1/images/edits", data={"prompt": PROMPT, **fields}, files=files)
    assert answer.status_code == 200, answer.text
    facts: dict[str, Any] = answer.json()
    return facts


def pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def pictures(answer: dict[str, Any]) -> list[NDArray[np.uint8]]:
    return [pixels(base64.b64decode(data["b64_json"])) for data in answer["data"]]


def events(client: httpx.Client, **body: Any) -> list[dict[str, Any]]:
    body = {"prompt": PROMPT, "stream": True, **body}
    with client.stream("POST", "/v1/images/generations", json=body) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]


def test_a_repeated_prompt_encodes_nothing(client: httpx.Client, watch: Watch, seed: int) -> None:
    prompt = f"{PROMPT}, {seed}"
    first = generate(client, prompt=prompt, seed=seed)
    counted = watch.since()
    second = generate(client, prompt=prompt, seed=seed + 1)
    repeated = watch.since()

    assert (counted["encodes"], counted["encode_hits"]) == (1, 0)
    assert (repeated["encodes"], repeated["encode_hits"]) == (0, 1)
    assert repeated["forwards"] == second["steps_executed"] == 8
    assert second["timings_ms"]["encode"] < first["timings_ms"]["encode"]


def test_a_repeated_request_runs_no_step(client: httpx.Client, watch: Watch, seed: int) -> None:
    first = generate(client, seed=seed, n=2)
    drawn = watch.since()
    again = generate(client, seed=seed, n=2)
    found = watch.since()

    assert (drawn["misses"], drawn["hits"], drawn["pictures"]) == (1, 0, 2)
    assert (found["misses"], found["hits"], found["pictures"]) == (0, 1, 2)
    assert drawn["bytes"] > found["bytes"] > 0  # of records alone
    assert found["forwards"] == found["encodes"] == found["encode_hits"] == 0
    assert (first["cached"], again["cached"]) == (False, True)
    assert {"queue", "encode", "steps", "decode", "keep"} <= set(first["timings_ms"])
    assert set(again["timings_ms"]) == {"recall", "keep", "place", "file"}
    assert sum(again["timings_ms"].values()) < first["timings_ms"]["steps"]
    assert again["steps_executed"] == first["steps_executed"] == 8
    for one, other in zip(pictures(first), pictures(again), strict=True):
        assert np.array_equal(one, other)
    ids = [data["id"] for answer in (first, again) for data in answer["data"]]
    assert len(set(ids)) == 4
    assert first["id"] == ids[0]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"size": "256x320"},
        {"num_inference_steps": 7},
        {"quality": "low"},
        {"guidance_scale": 1.5},
        {"guidance_scale": 2.0, "negative_prompt": "red"},
        {"prompt": f"{PROMPT}!"},
        {"n": 2},
    ],
)
def test_what_decides_the_picture_misses(
    client: httpx.Client, watch: Watch, seed: int, change: dict[str, Any]
) -> None:
    generate(client, seed=seed)
    watch.since()
    change = {name: seed + 1 if name == "seed" else value for name, value in change.items()}

    answer = generate(client, **{"seed": seed, **change})

    counted = watch.since()
    assert not answer["cached"]
    assert (counted["misses"], counted["hits"]) == (1, 0)
    assert counted["forwards"] >= answer["steps_executed"]


def test_an_edit_is_found_by_its_pixels_and_strength(
    client: httpx.Client, watch: Watch, seed: int, photo: bytes, mask: bytes
) -> None:
    fields = {"seed": str(seed), "strength": "0.6"}
    first = edit(client, photo, **fields)
    watch.since()
    out = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(out, "WEBP", lossless=True)
    again = edit(client, out.getvalue(), **fields)  # another file of the same pixels
    found = watch.since()
    other = Image.open(io.BytesIO(photo))
    other.putpixel((0, 0), (0, 0, 0))
    out = io.BytesIO()
    other.save(out, "PNG")

    assert again["cached"]
    assert found["forwards"] == 0
    assert np.array_equal(pictures(first)[0], pictures(again)[0])
    assert not edit(client, out.getvalue(), **fields)["cached"]
    assert not edit(client, photo, seed=str(seed), strength="0.7")["cached"]
    files = {"image": ("photo.png", photo), "mask": ("mask.png", mask)}
    masked = client.post("/v1/images/edits", data={"prompt": PROMPT, **fields}, files=files)
    assert not masked.json()["cached"]


def test_other_words_over_the_same_picture_run_no_step(
    client: httpx.Client, watch: Watch, seed: int
) -> None:
    first = generate(client, seed=seed)
    watch.since()
    advert = generate(
        client, seed=seed, size="256x256", overlay=WORDS, output_format="webp", priority="bulk"
    )
    raw = client.post(
        "/v1/images/generations",
        json={"prompt": PROMPT, "seed": seed},
        headers={"Accept": "image/png"},
    )

    assert advert["cached"]
    assert advert["data"][0]["overlay"]["layers"][0]["lines"] == ["지금 주문하세요"]
    assert raw.headers["x-signboard-cached"] == "true"
    assert np.array_equal(pixels(raw.content), pictures(first)[0])
    assert watch.since()["forwards"] == 0


def test_words_that_were_refused_cost_no_second_drawing(
    client: httpx.Client, watch: Watch, seed: int
) -> None:
    strict = {**WORDS, "min_contrast": 21, "on_problem": "fail"}
    refused = client.post(
        "/v1/images/generations", json={"prompt": PROMPT, "seed": seed, "overlay": strict}
    )
    assert refused.status_code == 400
    watch.since()

    assert generate(client, seed=seed, overlay=WORDS)["cached"]
    assert watch.since()["forwards"] == 0


def test_a_stream_finds_it_too(client: httpx.Client, watch: Watch, seed: int) -> None:
    drawn = events(client, seed=seed, partial_images=1)
    watch.since()
    found = events(client, seed=seed, partial_images=1)

    assert [event["type"] for event in found] == ["image_generation.completed"]
    assert (drawn[-1]["cached"], found[0]["cached"]) == (False, True)
    assert np.array_equal(
        *(pixels(base64.b64decode(one[-1]["b64_json"])) for one in (drawn, found))
    )
    assert watch.since()["forwards"] == 0


def test_without_a_seed_every_request_is_drawn(client: httpx.Client, watch: Watch) -> None:
    first, second = generate(client), generate(client)

    counted = watch.since()
    assert (counted["hits"], counted["misses"], counted["pictures"]) == (0, 0, 2)
    assert counted["forwards"] == 16
    assert not np.array_equal(pictures(first)[0], pictures(second)[0])


def test_a_kept_picture_by_its_url(client: httpx.Client, service: Running, seed: int) -> None:
    images = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0).images
    body = {"seed": seed, "overlay": WORDS, "placement": "feed_square"}
    whole = generate(client, output_format="jpeg", **body)
    by_url = images.generate(
        prompt=PROMPT, response_format="url", output_format="jpeg", extra_body=body
    )

    assert by_url.data is not None
    (data,) = by_url.data
    assert data.b64_json is None
    assert data.url is not None
    assert data.url.startswith(service.url)
    final = httpx.get(data.url)
    clean = httpx.get(data.url, params={"variant": "clean"})
    assert final.headers["content-type"] == "image/jpeg"
    assert np.array_equal(pixels(final.content), pictures(whole)[0])
    assert clean.headers["content-type"] == "image/png"
    assert pixels(clean.content).shape == (256, 256, 3)
    assert np.array_equal(pixels(clean.content), pictures(generate(client, seed=seed))[0])


def test_its_metadata(client: httpx.Client, seed: int, photo: bytes) -> None:
    answer = edit(client, photo, seed=str(seed), overlay=json.dumps(WORDS))

    told = client.get(f"/v1/images/{answer['id']}/metadata").json()

    assert told["id"] == answer["id"]
    assert set(told["drawing"]["facts"]) == {"signboard", "model", "drawer"}
    assert told["drawing"]["asked"]["prompt"] == PROMPT
    assert told["drawing"]["asked"]["strength"] == 0.6
    assert told["drawing"]["steps_executed"] == answer["steps_executed"] == 5
    assert told["drawing"]["source"]
    assert told["report"] == answer["data"][0]["overlay"]
    assert (told["seed"], told["width"], told["height"]) == (seed, 256, 256)


def test_other_words_for_a_kept_picture(client: httpx.Client, watch: Watch, seed: int) -> None:
    first = generate(client, seed=seed)
    watch.since()
    body = {"overlay": WORDS, "placement": "story", "output_format": "jpeg"}

    answer = client.post(f"/v1/images/{first['id']}/overlays", json=body)

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["size"], told["drawn_size"], told["cached"]) == ("1080x1920", "256x256", True)
    assert told["data"][0]["overlay"]["layers"][0]["role"] == "headline"
    final = client.get(f"/v1/images/{told['id']}")
    assert final.content == base64.b64decode(told["data"][0]["b64_json"])
    assert told["id"] != first["id"]
    assert watch.since()["forwards"] == 0
    unknown = client.post(f"/v1/images/{first['id']}/overlays", json={"placement": "billboard"})
    assert unknown.status_code == 400
    assert unknown.json()["error"]["param"] == "placement"


def test_pages_of_pictures(client: httpx.Client, seed: int) -> None:
    ids = [data["id"] for turn in range(2) for data in generate(client, seed=seed, n=2)["data"]]

    first = client.get("/v1/images", params={"limit": 3}).json()
    second = client.get("/v1/images", params={"limit": 1, "after": first["data"][-1]["id"]}).json()

    listed = [one["id"] for one in (*first["data"], *second["data"])]
    assert listed == sorted(ids, reverse=True)
    assert first["has_more"]
    for limit in (0, 101):
        refused = client.get("/v1/images", params={"limit": limit})
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "limit"


def test_a_removed_picture_is_gone_and_drawn_anew(
    client: httpx.Client, watch: Watch, seed: int
) -> None:
    answer = generate(client, seed=seed)
    gone = f"/v1/images/{answer['id']}"

    assert client.delete(gone).json() == {"id": answer["id"], "object": "image", "deleted": True}

    requests: list[Callable[[], httpx.Response]] = [
        lambda: client.get(gone),
        lambda: client.get(gone, params={"variant": "clean"}),
        lambda: client.get(f"{gone}/metadata"),
        lambda: client.delete(gone),
        lambda: client.post(f"{gone}/overlays", json={}),
    ]
    for request in requests:
        refused = request()
        assert refused.status_code == 404
        assert refused.json()["error"]["code"] == "image_not_found"
    watch.since()
    assert not generate(client, seed=seed)["cached"]
    assert watch.since()["forwards"] == 8


@pytest.mark.parametrize("name", ["img_1", "../../etc/passwd", "img_" + "G" * 44])
def test_an_id_that_is_none(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/v1/images/{name}")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
