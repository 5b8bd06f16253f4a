"""Health, models, capabilities, documentation, request ids."""

import re

import httpx


def test_health(client: httpx.Client) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    assert client.get("/health/ready").json() == {"state": "ready", "reason": None}


def test_models(client: httpx.Client) -> None:
    models = client.get("/v1/models").json()

    assert [model["id"] for model in models["data"]][:2] == ["embedded", "gpt-image-1"]
    assert client.get("/v1/models/embedded").json() == models["data"][0]


def test_no_weight_is_held_twice(client: httpx.Client) -> None:
    weights = client.get("/v1/models/embedded/weights").json()

    assert weights["held_bytes"] > 2**20
    assert weights["held_twice_bytes"] == 0


def test_capabilities(client: httpx.Client) -> None:
    told = client.get("/v1/capabilities").json()

    assert told["sizes"]["default"] == "256x256"
    assert told["steps"] == {
        "default": 8,
        "max": 50,
        "quality": {"low": 4, "medium": 8, "high": 16},
    }
    assert set(told["styles"]) == {"night", "ink"}
    assert told["styles"]["ink"]["licence"] == "Apache-2.0"
    assert told["limits"]["upload_bytes"] == 20 * 2**20
    assert told["placements"]["feed_portrait"] == "1080x1350"
    assert told["output_formats"] == ["png", "jpeg", "webp", "avif"]
    assert told["engine"]["phase"] == "ready"
    assert told["engine"]["max_waiting"] == 32
    phases = ["imports", "plan", "weights", "placement", "warm_up"]
    assert list(told["engine"]["start_s"]) == phases
    assert all(seconds > 0 for seconds in told["engine"]["start_s"].values())


def test_fonts_are_told_with_their_licences_and_others_refused(client: httpx.Client) -> None:
    fonts = client.get("/v1/capabilities").json()["fonts"]
    assert {"Noto Sans KR", "Noto Sans Arabic", "Noto Sans"} <= set(fonts)
    assert "Open Font License" in fonts["Noto Sans Thai"]["licence"]
    layers = [{"role": "headline", "text": "Sale", "font": "Comic Sans"}]
    body = {"prompt": "a car", "overlay": {"layers": layers}}
    refused = client.post("/v1/images/generations", json=body)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["param"] == "overlay.layers.0.font"
    assert "Noto Sans KR" in error["message"]


def test_the_documentation_lists_every_route(client: httpx.Client) -> None:
    schema = client.get("/openapi.json").json()

    assert {"/v1/images/generations", "/v1/images/edits", "/v1/capabilities"} <= set(
        schema["paths"]
    )
    assert client.get("/docs").headers["content-type"].startswith("text/html")
    references = set(re.findall(r"#/components/schemas/(\w+)", str(schema)))
    assert references <= set(schema["components"]["schemas"])


def test_request_ids(client: httpx.Client) -> None:
    named = client.get("/health/live", headers={"X-Request-ID": "campaign-42"})
    refused = client.get("/nothing", headers={"X-Request-ID": "campaign-43"})
    insane = client.get("/health/live", headers={"X-Request-ID": "x" * 500})

    assert named.headers.get_list("x-request-id") == ["campaign-42"]
    assert refused.headers.get_list("x-request-id") == ["campaign-43"]
    assert 0 < len(insane.headers["x-request-id"]) <= 128


def test_a_client_cannot_lift_the_servers_limits(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/images/generations",
        json={"prompt": "a red circle", "num_inference_steps": 20},
        headers={"X-Request-Timeout-Seconds": "0.001"},
    )

    assert answer.status_code == 200
