"""Templates and brands over HTTP: listed, filled from role texts, refused by name."""

import httpx
import pytest

from deployments.postprocess.design.names import template_names

LAYERS = [
    {"role": "headline", "text": "여름 과일 반값"},
    {"role": "price", "text": "₩8,900"},
    {"role": "cta", "text": "지금 담기"},
]


def ask(client: httpx.Client, **overlay: str) -> httpx.Response:
    body = {
        "prompt": "a strawberry on a cyan background",
        "seed": 7,
        "num_inference_steps": 2,
        "placement": "feed_portrait",
        "overlay": {"layers": LAYERS, **overlay},
    }
    return client.post("/v1/images/generations", json=body)


def test_both_are_listed(client: httpx.Client) -> None:
    told = client.get("/v1/capabilities").json()
    assert sorted(told["templates"]) == sorted(template_names())
    assert told["brands"]["harbor"]["colours"]["accent"] == "#c2541b"


def test_a_template_and_a_brand_shape_the_advert(client: httpx.Client) -> None:
    plain = ask(client).json()["data"][0]
    menu = ask(client, template="menu", brand="harbor").json()["data"][0]
    assert menu["b64_json"] != plain["b64_json"]
    layers = menu["overlay"]["layers"]
    assert [layer["role"] for layer in layers] == ["headline", "price", "cta"]
    assert layers[0]["fill"] == "#14213d"
    assert all(layer["contrast_p10"] >= 4.5 for layer in layers)


@pytest.mark.parametrize(("field", "known"), [("template", "poster"), ("brand", "harbor")])
def test_an_unknown_name_is_refused_before_anything_is_drawn(
    client: httpx.Client, field: str, known: str
) -> None:
    refused = ask(client, **{field: "flyer"})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["code"] == f"unknown_{field}"
    assert error["param"] == f"overlay.{field}"
    assert known in error["message"]
