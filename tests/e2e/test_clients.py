"""Clients as they come: their requests replayed, and those that are installed run for real."""

import asyncio
import base64
import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from deployments.diffusion.sizes import parse_size
from serve.commands.local import Running
from tests.e2e.clients import PROMPT, REQUESTS, TABLE, Sent, read, table

SETTLED = "python -m tests.e2e.clients writes docs/clients.md anew; then look at it"


@pytest.fixture(scope="module")
def answers(client: httpx.Client, photo: bytes) -> dict[str, httpx.Response]:
    """What each request is answered, by its name."""
    return {sent.name: sent.send(client, photo) for sent in REQUESTS}


@pytest.mark.parametrize("sent", REQUESTS, ids=lambda sent: sent.name)
def test_a_clients_request_works_unchanged(
    sent: Sent, answers: dict[str, httpx.Response], client: httpx.Client
) -> None:
    answer = answers[sent.name]
    assert answer.status_code == 200, answer.text

    pictures = read(sent, answer, client)

    told = answer.json()
    size = sent.fields.get("size", "auto")
    asked = (256, 256) if size == "auto" else parse_size(size)
    assert [picture.size for picture in pictures] == [asked] * sent.fields.get("n", 1)
    assert told["size"] == "{}x{}".format(*asked)
    assert told["quality"] in ("low", "medium", "high")
    assert ("model" in warned(told)) == (sent.fields.get("model", "embedded") != "embedded")
    assert ("size" in warned(told)) == ("nearest_sizes" in sent.needs())
    assert None not in (*told.values(), *told["data"][0].values())


def warned(told: dict[str, Any]) -> list[str]:
    """The fields that the answer's warnings are about."""
    return [warning.partition(":")[0] for warning in told["warnings"]]


def test_the_table_says_how_they_fared(answers: dict[str, httpx.Response]) -> None:
    fared = table((sent, answers[sent.name]) for sent in REQUESTS)
    assert TABLE.read_text(encoding="utf-8") == fared, SETTLED


def test_every_alias_is_a_model(client: httpx.Client) -> None:
    listed = [one["id"] for one in client.get("/v1/models").json()["data"]]

    assert listed[0] == "embedded"
    assert {sent.fields["model"] for sent in REQUESTS} <= set(listed)
    for name in listed:
        assert client.get(f"/v1/models/{name}").json()["id"] == name
    assert client.get("/v1/models/dall-e-3/weights").json()["held_twice_bytes"] == 0
    assert client.get("/v1/models/Qwen/Qwen-Image").json()["error"]["param"] == "model"


def test_warnings_ride_along_in_every_form(client: httpx.Client) -> None:
    body = {"prompt": PROMPT, "moderation": "low", "size": "512x512", "num_inference_steps": 2}
    about = ["moderation", "size"]
    raw = client.post(
        "/v1/images/generations", json=body, headers={"Accept": "image/png"}
    ).raise_for_status()
    streamed = client.post("/v1/images/generations", json={**body, "stream": True}).text
    told = client.post("/v1/images/generations", json=body).json()

    assert Image.open(io.BytesIO(raw.content)).size == (512, 512)
    assert warned(told) == about
    assert all(f"{field}: " in raw.headers["x-signboard-warnings"] for field in about)
    (completed,) = (
        json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: ")
    )
    assert warned(completed) == about
    assert completed["size"] == "512x512"


def drawn(client: httpx.Client, **fields: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """The pixels of the only picture, and the answer."""
    body = {"prompt": PROMPT, "num_inference_steps": 2, **fields}
    told = client.post("/v1/images/generations", json=body).raise_for_status().json()
    (picture,) = told["data"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture["b64_json"])))), told


def test_an_enlarged_picture_is_repeated_from_its_file(client: httpx.Client, seed: int) -> None:
    pixels, told = drawn(client, size="640x512", seed=seed)
    file = base64.b64decode(told["data"][0]["b64_json"])

    kept = client.get(f"/v1/images/{told['id']}").content
    says = client.post("/v1/images/inspect", files={"image": ("a.png", file)}).json()["repeat"]
    again, repeated = drawn(client, **says["body"])

    assert pixels.shape == (512, 640, 3)
    assert kept == file
    assert repeated["cached"]
    assert np.array_equal(again, pixels)


def test_of_a_long_prompt_the_words_that_are_known_are_drawn(
    client: httpx.Client, seed: int
) -> None:
    short, plain = drawn(client, seed=seed)
    noisy = f"{PROMPT}, {'hyperrealistic cinematic masterpiece ' * 40}"
    pixels, told = drawn(client, seed=seed, prompt=noisy)

    assert np.array_equal(pixels, short)
    assert plain["warnings"] == []
    assert warned(told) == ["prompt", "prompt"]
    assert "7 of the 7 words that it knows were drawn" in told["warnings"][1]


def litellm_by_url(base: str) -> str:
    made = pytest.importorskip("litellm").image_generation(
        model="openai/dall-e-3", prompt=PROMPT, size="1024x1024", api_base=base, api_key="none"
    )
    return str(made.data[0].url)


def langchain_by_url(base: str) -> str:
    module = "langchain_community.utilities.dalle_image_generator"
    wrapper = pytest.importorskip(module).DallEAPIWrapper
    return str(wrapper(api_key="none", base_url=base).run(PROMPT))


def haystack_as_base64(base: str) -> str:
    generator = pytest.importorskip("haystack.components.generators.openai_image_generator")
    secret = pytest.importorskip("haystack.utils").Secret.from_token("none")
    made = generator.OpenAIImageGenerator(api_key=secret, api_base_url=base, timeout=120)
    return str(made.run(PROMPT)["images"][0])


def agno_by_url(base: str) -> str:
    tools = pytest.importorskip("agno.tools.dalle").DalleTools(api_key="none")
    (image,) = tools.create_image(PROMPT).images
    return str(image.url)


def semantic_kernel_as_base64(base: str) -> str:
    connectors = pytest.importorskip("semantic_kernel.connectors.ai.open_ai")
    service = connectors.OpenAITextToImage(ai_model_id="gpt-image-1", api_key="none")
    settings = connectors.OpenAITextToImageExecutionSettings(quality="medium")
    (image,) = asyncio.run(service.generate_images(PROMPT, settings))
    return str(image)


@pytest.mark.parametrize(
    "draw",
    [
        litellm_by_url,
        langchain_by_url,
        haystack_as_base64,
        agno_by_url,
        semantic_kernel_as_base64,
    ],
)
def test_a_client_that_is_installed(
    draw: Callable[[str], str],
    service: Running,
    client: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = f"{service.url}/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", base)
    monkeypatch.setenv("OPENAI_API_KEY", "none")

    made = draw(base)

    file = client.get(made).content if made.startswith("http") else base64.b64decode(made)
    assert Image.open(io.BytesIO(file)).format == "PNG"
