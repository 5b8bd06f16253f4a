"""One picture in many formats and layouts, and with another price, over HTTP."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from benchmarks.overlay import rerender
from serve.commands.local import Running
from tests.e2e.test_library import PROMPT, events, generate
from tests.e2e.watch import Watch

FORMATS = {"feed_square": (1080, 1080), "story": (1080, 1920), "banner": (1200, 628)}


def words(price: str, **more: Any) -> dict[str, Any]:
    layers = [{"role": "headline", "text": "아침을 깨우는 사과"}, {"role": "price", "text": price}]
    return {"layers": layers, **more}


def file(data: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data["b64_json"])))


def test_many_formats_of_many_pictures_in_one_request(client: httpx.Client, seed: int) -> None:
    answer = generate(
        client,
        seed=seed,
        n=2,
        placements=list(FORMATS),
        overlay=words("₩4,900", layouts=2),
        output_format="jpeg",
    )

    told = [(one["picture_index"], one["placement"], one["layout"]) for one in answer["data"]]
    assert told == [(n, name, layout) for n in (0, 1) for name in FORMATS for layout in (0, 1)]
    assert answer["drawn_size"] == "256x256"  # between the widest and the tallest
    assert len({one["id"] for one in answer["data"]}) == 12
    for one in answer["data"]:
        assert file(one).size == (one["width"], one["height"]) == FORMATS[one["placement"]]
        assert one["seed"] == seed + one["picture_index"]
        _, top, _, height = one["overlay"]["layers"][0]["box"]
        if one["placement"] == "story":
            assert top >= 250
            assert top + height <= 1920 - 250
        fetched = client.get(f"/v1/images/{one['id']}")
        assert fetched.content == base64.b64decode(one["b64_json"])
    best, other = (one["overlay"]["layers"][0]["box"] for one in answer["data"][:2])
    assert best != other


def test_a_stream_completes_once_a_file(client: httpx.Client, seed: int) -> None:
    told = events(client, seed=seed, placements=["feed_square", "banner"], output_format="jpeg")

    done = [event for event in told if event["type"] == "image_generation.completed"]
    assert [(one["placement"], one["size"]) for one in done] == [
        ("feed_square", "1080x1080"),
        ("banner", "1200x628"),
    ]
    assert {one["picture_index"] for one in done} == {0}


def test_a_new_price_runs_no_step(client: httpx.Client, watch: Watch, seed: int) -> None:
    first = generate(client, seed=seed, overlay=words("₩4,900"))
    watch.since()

    told = client.post(
        f"/v1/images/{first['id']}/overlays",
        json={"overlay": words("₩3,900"), "placements": ["banner", "story"]},
    ).json()
    raw = client.post(
        f"/v1/images/{first['id']}/overlays",
        json={"overlay": words("₩2,900"), "placement": "a4"},
        headers={"Accept": "image/jpeg"},
    )

    counted = watch.since()
    assert counted["forwards"] == counted["encodes"] == counted["encode_hits"] == 0
    assert counted["pictures"] == 3
    for one in told["data"]:
        assert one["overlay"]["layers"][1]["lines"] == ["₩3,900"]
        assert file(one).size == FORMATS[one["placement"]]
    assert raw.headers["content-type"] == "image/jpeg"
    assert raw.headers["x-signboard-cached"] == "true"
    printed = Image.open(io.BytesIO(raw.content))
    assert (printed.size, printed.info["dpi"]) == ((2480, 3508), (300, 300))


def test_an_edit_in_two_formats(client: httpx.Client, photo: bytes) -> None:
    fields = {"prompt": PROMPT, "placements": json.dumps(["banner", "market"]), "extend": "blur"}

    answer = client.post("/v1/images/edits", data=fields, files={"image": ("a.png", photo)})

    assert [one["placement"] for one in answer.json()["data"]] == ["banner", "market"]


@pytest.mark.parametrize(
    ("body", "accept", "param"),
    [
        ({"placements": ["story"], "placement": "story"}, "*/*", "placement"),
        ({"placements": ["story", "story"]}, "*/*", "placements"),
        ({"placements": ["billboard"]}, "*/*", "placements"),
        ({"placements": ["story", "a4"]}, "image/png", "placements"),
        (
            {"placements": ["story", "a4"], "n": 8, "overlay": words("x", layouts=3)},
            "*/*",
            "placements",
        ),
        ({"overlay": words("x", layouts=4)}, "*/*", "overlay.layouts"),
        ({"extend": "mirror"}, "*/*", "extend"),
    ],
)
def test_refusals(client: httpx.Client, body: dict[str, Any], accept: str, param: str) -> None:
    answer = client.post(
        "/v1/images/generations", json={"prompt": PROMPT, **body}, headers={"Accept": accept}
    )

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_the_benchmark_of_a_new_price(client: httpx.Client, service: Running) -> None:
    report = rerender.compared(client, Path(service.library), rounds=3, say=print)

    assert [figure.bound for figure in report.figures] == [rerender.BOUND] * 2
    assert {way: len(times) for way, times in report.data["seconds"].items()} == {
        "stage": 3,
        "JSON": 3,
        "file": 3,
    }
