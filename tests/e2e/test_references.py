"""Edits by reference through HTTP: of a model that reads them, as JSON and forms, kept, and made
again by what the file says; of one that reads none, refused."""

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from PIL import Image

from serve.commands import local
from tests.e2e.test_repeat import fields, files, inspect, pixels, repeated, sound
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.tiny_families import save_tiny_klein
from tests.unit.postprocess.artworks import data_url

ASKED = {"prompt": "a red cat", "num_inference_steps": 3, "seed": 5}


def noise(width: int, height: int, seed: int) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


ONE, OTHER = noise(96, 64, 1), noise(200, 150, 2)


@pytest.fixture(scope="module")
def klein(
    service: local.Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A second application beside the first, of a tiny FLUX.2-klein."""
    folder = tmp_path_factory.mktemp("klein")
    profile = tiny_profile(
        save_tiny_klein(folder / "model"), family="flux2-klein", max_prompt_tokens=32
    )
    path = folder / "klein.yaml"
    path.write_text(yaml.safe_dump(profile.model_dump(mode="json")), encoding="utf-8")
    config = local.read_config(
        "embedded", httpx.URL(service.url).port or 0, service.library, service.styles
    )
    (second,) = local.read_config(str(path), 0, service.library)["applications"]
    second |= {"name": "klein", "route_prefix": "/klein"}
    for deployment in second["deployments"]:
        if deployment["name"] == "Ingress":
            deployment["num_replicas"] = 1
    both = {**config, "applications": [*config["applications"], second]}
    local.deploy(both, folder)
    url = f"{service.url}/klein"
    wait_until(lambda: local.readiness(url)["state"] == "ready", 200, 0.2)
    with httpx.Client(base_url=url, timeout=200) as client:
        yield client
    local.deploy(config, folder)


def edit(client: httpx.Client, **body: Any) -> dict[str, Any]:
    return sound(client.post("/v1/images/edits", json={**ASKED, **body}))


def drawn(told: dict[str, Any]) -> list[bytes]:
    """The pixels of an answer's files, which tell of themselves when they were made."""
    return [pixels(one).tobytes() for one in files(told)]


def test_forms_and_json_draw_the_same(klein: httpx.Client) -> None:
    references = [data_url(ONE), data_url(OTHER)]
    told = edit(klein, references=references)
    read = told["usage"]["input_tokens_details"]["image_tokens"]
    assert read == 24 + 54  # the second made smaller
    assert told["size"] == "96x64"  # the nearest to the first reference
    for name in ("references", "references[]", "image[]"):
        parts = [(name, (f"{i}.png", one)) for i, one in enumerate((ONE, OTHER))]
        form = sound(klein.post("/v1/images/edits", data=fields(ASKED), files=parts))
        assert form["cached"]
        assert drawn(form) == drawn(told)
    assert drawn(edit(klein, references=references[:1], size="96x64")) != drawn(told)


@pytest.mark.parametrize("redrawn", [False, True])
def test_a_file_makes_its_picture_again(
    klein: httpx.Client, service: local.Running, redrawn: bool
) -> None:
    body: dict[str, Any] = {"references": [data_url(ONE), data_url(OTHER)]}
    if redrawn:
        body |= {"image": data_url(noise(64, 96, 3)), "strength": 0.7, "seed": 6}
    (file,) = files(edit(klein, **body))
    assert len(inspect(klein, file)["making"]["references"]) == 2
    again, _ = repeated(klein, service, file)
    assert np.array_equal(pixels(again), pixels(file))


def test_capabilities_tell_how_many_are_read(klein: httpx.Client, client: httpx.Client) -> None:
    told = sound(klein.get("/v1/capabilities"))["references"]
    assert told == {"most": 4, "max_pixels": 128 * 128}
    assert sound(client.get("/v1/capabilities"))["references"] is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"references": [data_url(ONE)], "strength": 0.5}, "strength"),
        ({"references": [data_url(ONE)], "fit": "pad"}, "fit"),
        ({"references": [data_url(ONE)], "keep": "subject"}, "keep"),
        ({"references": [data_url(noise(40, 64, 4))]}, "references.0"),
        ({"references": [data_url(ONE)] * 5}, "references"),
    ],
)
def test_refusals_name_the_field(klein: httpx.Client, body: dict[str, Any], param: str) -> None:
    answer = klein.post("/v1/images/edits", json={**ASKED, **body})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


def test_a_model_that_reads_none_refuses_them(client: httpx.Client) -> None:
    body = json.dumps({**ASKED, "references": [data_url(ONE)]})
    answer = client.post(
        "/v1/images/edits", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "references"
    parts = [("image[]", (f"{i}.png", one)) for i, one in enumerate((ONE, OTHER))]
    answer = client.post("/v1/images/edits", data=fields(ASKED), files=parts)
    assert answer.status_code == 400
    assert "reads no references" in answer.json()["error"]["message"]
