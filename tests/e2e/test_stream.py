"""Streamed answers, read with OpenAI's own client and as plain events."""

import base64
import io
import json

import httpx
import numpy as np
import openai
from PIL import Image

from serve.commands.local import Running
from tests.polling import wait_until

PROMPT = "a red circle on a yellow background"


def pixels(b64_json: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(b64_json))).convert("RGB"))


def test_openais_stream_of_a_generation(service: Running) -> None:
    images = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0).images
    seed = {"seed": 3}
    whole = images.generate(prompt=PROMPT, size="256x256", extra_body=seed)
    httpx.delete(f"{service.url}/v1/images/{whole.to_dict()['id']}")  # else it would be found there
    events = list(
        images.generate(
            prompt=PROMPT, size="256x256", extra_body=seed, stream=True, partial_images=2
        )
    )
    kinds = [event.type for event in events]
    assert kinds.count("image_generation.partial_image") == 2
    assert kinds[-1] == "image_generation.completed"
    partial = [event for event in events if event.type == "image_generation.partial_image"]
    assert [event.partial_image_index for event in partial] == [0, 1]
    final = pixels(events[-1].b64_json)
    assert np.array_equal(final, pixels(whole.data[0].b64_json))
    assert all(pixels(event.b64_json).shape == final.shape for event in partial)
    closeness = [np.abs(pixels(event.b64_json).astype(int) - final).mean() for event in partial]
    assert closeness[-1] < 60
    assert {event.quality for event in events} == {"medium"}
    done = events[-1]
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens
    assert done.usage.output_tokens == 64  # 256 x 256 pixels, 32 x 32 of them a token
    assert done.usage.input_tokens_details.text_tokens > 0
    assert whole.usage.to_dict() == done.usage.to_dict()


def test_openais_stream_of_an_edit(service: Running, photo: bytes) -> None:
    images = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0).images
    events = list(
        images.edit(
            image=("photo.png", photo),
            prompt=PROMPT,
            quality="low",
            stream=True,
            partial_images=1,
            response_format="url",
        )
    )
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["ImageEditPartialImageEvent", "ImageEditCompletedEvent"]
    assert [event.quality for event in events] == ["low", "low"]
    done = events[-1]
    assert done.usage.input_tokens_details.image_tokens == done.usage.output_tokens == 64
    kept = httpx.get(done.to_dict()["url"])
    assert kept.content == base64.b64decode(done.b64_json)


def test_progress_of_an_edit_of_two_pictures(client: httpx.Client, photo: bytes) -> None:
    fields = {"prompt": PROMPT, "stream": "true", "n": "2", "strength": "0.6", "seed": "3"}
    fields["progress"] = "true"
    files = {"image": ("photo.png", photo, "image/png")}
    with client.stream("POST", "/v1/images/edits", data=fields, files=files) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    progress = [event for event in events if event["type"] == "signboard.progress"]
    assert [event["step"] for event in progress][-1] == progress[-1]["steps"] == 5
    assert progress[0]["eta_s"] > 0
    done = [event for event in events if event["type"] == "image_edit.completed"]
    assert [event["picture_index"] for event in done] == [0, 1]
    assert [event["seed"] for event in done] == [3, 4]


def test_a_refused_stream_keeps_its_status(client: httpx.Client, photo: bytes) -> None:
    fields = {"prompt": PROMPT, "stream": "true", "strength": "1e-17"}  # found out in the engine
    files = {"image": ("photo.png", photo, "image/png")}
    answer = client.post("/v1/images/edits", data=fields, files=files)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "strength"


def test_a_listener_that_leaves_takes_its_request_along(
    client: httpx.Client, service: Running
) -> None:
    body = {"prompt": PROMPT, "stream": True, "num_inference_steps": 50, "n": 4, "progress": True}
    with client.stream("POST", "/v1/images/generations", json=body) as answer:
        next(answer.iter_lines())

    def idle() -> bool:
        engine = client.get("/v1/capabilities").json()["engine"]
        return engine["running"] == engine["waiting"] == 0

    wait_until(idle, 5)
    said = [path.read_text(errors="replace") for path in service.logs.parent.glob("worker-*.err")]
    assert any("generate_stream CANCELLED" in text for text in said)
    assert not any("never retrieved" in text for text in said)
