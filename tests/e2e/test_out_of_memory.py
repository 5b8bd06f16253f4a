"""Out of memory on the running server: finished pictures, a clean 507, nothing left behind."""

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from PIL import Image

from serve.commands import local
from tests.polling import wait_until
from tests.tiny_checkpoint import save_tiny_checkpoint, tiny_profile
from tests.unit.diffusion.comparison import assert_same_picture

KB = 1000
DEADLINE_S = 240
TWENTY = [
    {"prompt": "a red cat", "size": f"{64 + 32 * (i % 2)}x64", "n": 1 + i % 2, "seed": i}
    for i in range(20)
]


class Small:
    """The application on the small device, and the folder of its budget."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.client = httpx.Client(base_url=url, timeout=DEADLINE_S)
        self.leave({})

    def leave(self, limits: dict[str, int]) -> None:
        """What each stage may hold in all."""
        part = self.folder / "part"
        part.write_text(json.dumps(limits))
        part.replace(self.folder / "limits.json")

    def ask(self, body: dict[str, Any]) -> httpx.Response:
        return self.client.post("/v1/images/generations", json=body)

    def draw(self, body: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
        """The pictures, and the warnings about memory."""
        answer = self.ask(body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        files = [base64.b64decode(one["b64_json"]) for one in told["data"]]
        pictures = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
        return pictures, [warning for warning in told["warnings"] if "memory:" in warning]

    def engine(self) -> dict[str, Any]:
        engine: dict[str, Any] = self.client.get("/v1/capabilities").json()["engine"]
        return engine

    def left_behind(self) -> int:
        """Bytes that a fresh request finds on the device beside the weights that stay there."""
        wait_until(lambda: self.engine()["running"] + self.engine()["decoding"] == 0, DEADLINE_S)
        answer = self.ask({"prompt": "cat " * 600})  # refused before anything is made of it
        assert answer.json()["error"]["code"] == "prompt_too_long"
        return int((self.folder / "held").read_text()) - int(self.engine()["device_bytes"])


@pytest.fixture(scope="module")
def small(service: local.Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """A second application beside the first."""
    folder = tmp_path_factory.mktemp("small")
    save_tiny_checkpoint(folder / "model", spells=True)  # a prompt too long is refused
    (folder / "model" / "limits.json").write_text("{}")
    profile = tiny_profile(folder / "model", embedding_cache_bytes=0)
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(profile.model_dump(mode="json")), encoding="utf-8")
    port = httpx.URL(service.url).port or 0
    config = local.read_config("embedded", port, service.library, service.styles)
    (small,) = local.read_config(str(path), 0)["applications"]
    small |= {
        "name": "small",
        "route_prefix": "/small",
        "import_path": "tests.e2e.small_device:build",
    }
    small["args"]["library"] = None  # every picture is to be drawn
    for deployment in small["deployments"]:
        if deployment["name"] == "Ingress":
            deployment["num_replicas"] = 1
    local.deploy({**config, "applications": [*config["applications"], small]}, folder)
    url = f"{service.url}/small"
    wait_until(lambda: local.readiness(url)["state"] == "ready", DEADLINE_S, 0.2)
    yield Small(url, folder / "model")
    local.deploy(config, folder)


def test_out_of_memory_at_every_stage(small: Small) -> None:
    weights = small.engine()["held_bytes"]
    twins = [small.draw(body)[0] for body in TWENTY]
    rest = small.left_behind()
    large = {"prompt": "a big dog", "size": "192x192"}
    squeezes: dict[str, tuple[int, dict[str, Any]]] = {
        "encode": (60 * KB, TWENTY[0]),
        "forward": (800 * KB, {**TWENTY[0], "n": 8}),
        "decode": (1500 * KB, {**TWENTY[0], "size": "128x128", "n": 2}),
    }
    for stage, (room, body) in squeezes.items():
        roomy, told = small.draw(body)
        assert told == []
        small.leave({stage: weights + room})
        squeezed, told = small.draw(body)
        assert told
        if stage != "decode":
            assert_same_picture(squeezed, roomy)
        small.leave({stage: 1})
        refused = small.ask(large)
        assert refused.status_code == 507, refused.text
        error = refused.json()["error"]
        assert error["code"] == "out_of_memory"
        assert "shorten" in error["message"] or "smaller size" in error["message"]
        small.leave({})
        with ThreadPoolExecutor(len(TWENTY)) as crowd:
            for (pictures, told), twin in zip(crowd.map(small.draw, TWENTY), twins, strict=True):
                assert told == []
                assert_same_picture(pictures, twin)
        assert small.left_behind() == rest
    rungs = small.engine()["rungs"]
    assert rungs["refused"] == 3
    assert all(rungs[rung] > 0 for rung in ("halved_batch", "tiled_decode", "alone"))
