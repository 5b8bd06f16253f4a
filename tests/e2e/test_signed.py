"""An application that signs its files and keeps prompts out of them."""

import base64
import json
from collections.abc import Iterator

import httpx
import pytest

from deployments.postprocess.files import credentials, xmp
from deployments.postprocess.schema.placements import MEDIA_TYPES
from serve.commands import local
from tests.certificates import write_chain
from tests.polling import wait_until

PROMPT = "a red circle on a white background"


@pytest.fixture(scope="module")
def signing(
    service: local.Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a second application beside the first."""
    folder = tmp_path_factory.mktemp("signing")
    port = httpx.URL(service.url).port or 0
    config = local.read_config("embedded", port, service.library, service.styles)
    (second,) = local.read_config("embedded", 0, str(folder / "library"))["applications"]
    second |= {"name": "signing", "route_prefix": "/signing"}
    second["args"] |= {
        "credentials": write_chain(folder).model_dump(),
        "prompt_in_files": False,
    }
    for deployment in second["deployments"]:
        if deployment["name"] == "Ingress":
            deployment["num_replicas"] = 1
    local.deploy({**config, "applications": [*config["applications"], second]}, folder)
    url = f"{service.url}/signing"
    wait_until(lambda: local.readiness(url)["state"] == "ready", 300, 0.2)
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client
    local.deploy(config, folder)


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_every_file_that_leaves_is_signed(signing: httpx.Client, name: str) -> None:
    body = {"prompt": PROMPT, "seed": 7, "output_format": name, "metadata": "no_prompt"}
    answer = signing.post("/v1/images/generations", json=body).json()
    recalled = signing.post("/v1/images/generations", json=body).json()
    kept = f"/v1/images/{answer['id']}"
    words = {"overlay": {"layers": [{"role": "headline", "text": "Now"}]}, "output_format": name}
    other = signing.post(f"{kept}/overlays", json=words).json()
    with signing.stream("POST", "/v1/images/generations", json={**body, "stream": True}) as told:
        lines = [line for line in told.iter_lines() if line.startswith("data: ")]
    streamed = json.loads(lines[-1][6:])
    files = [
        *(base64.b64decode(one["data"][0]["b64_json"]) for one in (answer, recalled, other)),
        base64.b64decode(streamed["b64_json"]),
        signing.get(kept).content,
    ]

    assert recalled["cached"]
    assert answer["timings_ms"]["sign"] > 0
    for file in files:
        signed = credentials.read(file, MEDIA_TYPES[name])
        assert signed is not None
        assert (signed.state, signed.signer) == ("Valid", "A test's signer")
        assert PROMPT.encode() not in file
        assert xmp.read(file).facts["seed"] == "7"
    clean = signing.get(kept, params={"variant": "clean"}).content
    assert credentials.read(clean, "image/png") is not None
    told = signing.post("/v1/images/inspect", files={"image": ("a", files[0])}).json()
    assert told["credentials"]["state"] == "Valid"
    assert told["repeat"]["body"]["prompt"] == PROMPT


def test_prompts_cannot_be_asked_back_in(signing: httpx.Client) -> None:
    body = {"prompt": PROMPT, "metadata": "full"}

    refused = signing.post("/v1/images/generations", json=body)

    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "metadata"
