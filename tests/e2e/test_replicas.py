"""Processes die and configurations change while clients ask: they hear little of it."""

import base64
import copy
import io
import os
import secrets
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from deployments.diffusion.profile import EMBEDDED_MODEL
from serve.commands import local
from tests.e2e.crowd import Crowd, processes
from tests.polling import wait_until
from tests.unit.diffusion.comparison import assert_same_picture

REPLICA = "ServeReplica:signboard"
WITHIN_S = 240  # beside busy neighbours; how fast it is on a quiet machine is docs/deployment.md's


@pytest.fixture
def config(service: local.Running, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The application's, to change; it is itself again afterwards."""
    port = httpx.URL(service.url).port or 0
    config = local.read_config("embedded", port, service.library, service.styles)
    yield copy.deepcopy(config)
    local.deploy(config, tmp_path)
    wait_until(lambda: status() == "RUNNING", WITHIN_S, 0.1)
    wait_until(lambda: local.readiness(service.url)["state"] == "ready", WITHIN_S, 0.2)


def draw_on(crowd: Crowd, pictures: int = 8) -> None:
    """Until the crowd has so many more."""
    before = crowd.drawn
    wait_until(lambda: crowd.drawn >= before + pictures, WITHIN_S, 0.05)


def kill_one(title: str) -> None:
    os.kill(next(iter(processes(title))), signal.SIGKILL)


def roll_out(config: dict[str, Any], folder: Path) -> None:
    """Deploy, and wait until no replica of before is there."""
    before = processes(REPLICA).keys()
    local.deploy(config, folder)
    wait_until(lambda: not before & processes(REPLICA).keys(), WITHIN_S, 0.1)


def two_diffusion_replicas(config: dict[str, Any], folder: Path) -> None:
    for deployment in config["applications"][0]["deployments"]:
        if deployment["name"] == "DiffusionDeployment":
            deployment["num_replicas"] = 2
    local.deploy(config, folder)
    wait_until(lambda: in_rotation() == 2, WITHIN_S, 0.1)


def in_rotation() -> int:
    """How many diffusion replicas are asked."""
    from ray import serve as ray_serve

    deployments = ray_serve.status().applications["signboard"].deployments
    if "DiffusionDeployment" not in deployments:  # for a moment, while it is deployed anew
        return 0
    return int(deployments["DiffusionDeployment"].replica_states.get("RUNNING", 0))


def status() -> str:
    """The application's, as Serve has it."""
    from ray import serve as ray_serve

    return str(ray_serve.status().applications["signboard"].status.value)


@pytest.mark.parametrize("room", ["DiffusionDeployment", "PostProcessDeployment", "Ingress"])
def test_a_replica_dies(service: local.Running, room: str) -> None:
    with Crowd(service.url) as crowd:
        draw_on(crowd, 4)
        kill_one(f"{REPLICA}:{room}")
        draw_on(crowd)
    may = {"200", "503 in time"} if room == "DiffusionDeployment" else {"200"}
    if room == "Ingress":
        may |= {"refused"}  # an answer that had begun
    assert crowd.told.keys() <= may, crowd.told


@pytest.mark.parametrize("process", ["ProxyActor", "ServeController"])
def test_one_of_serves_own_processes_dies(service: local.Running, process: str) -> None:
    with Crowd(service.url) as crowd:
        draw_on(crowd, 4)
        kill_one(process)
        draw_on(crowd)
    assert crowd.told.keys() <= {"200", "refused"}, crowd.told


def test_another_configuration(
    service: local.Running, config: dict[str, Any], tmp_path: Path
) -> None:
    config["applications"][0]["args"]["request_timeout_s"] = 299
    with Crowd(service.url) as crowd:
        draw_on(crowd, 4)
        roll_out(config, tmp_path)
        draw_on(crowd)
    assert crowd.told.keys() == {"200"}, crowd.told


def test_two_diffusion_replicas(
    service: local.Running, config: dict[str, Any], tmp_path: Path
) -> None:
    two_diffusion_replicas(config, tmp_path)
    with Crowd(service.url) as crowd:
        draw_on(crowd, 4)
        kill_one(f"{REPLICA}:DiffusionDeployment")
        draw_on(crowd)
        wait_until(lambda: in_rotation() == 2, WITHIN_S, 0.1)
        config["applications"][0]["args"]["request_timeout_s"] = 298
        roll_out(config, tmp_path)
        draw_on(crowd)
    assert crowd.told.keys() == {"200"}, crowd.told


@pytest.mark.timeout(900)  # it waits for replicas three times
def test_every_replica_has_a_style_that_is_added(
    service: local.Running, config: dict[str, Any], tmp_path: Path
) -> None:
    def draw(seed: int, style: str) -> httpx.Response:
        body = {"prompt": "a red heart", "seed": seed, "style": style, "num_inference_steps": 2}
        return httpx.post(f"{service.url}/v1/images/generations", json=body, timeout=120)

    def drawn(seed: int, style: str) -> np.ndarray:
        answer = draw(seed, style)
        assert answer.status_code == 200, answer.text
        file = base64.b64decode(answer.json()["data"][0]["b64_json"])
        return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))

    def all_draw(seed: int) -> None:
        with ThreadPoolExecutor(8) as pool:  # enough at a time that both replicas are asked
            added = list(pool.map(partial(drawn, style="dusk"), range(seed, seed + 8)))
        assert_same_picture(added[0], drawn(seed, "night"))

    first = secrets.randbelow(2**40)
    two_diffusion_replicas(config, tmp_path)
    about = {"name": "dusk", "licence": "Apache-2.0", "description": "deep blue"}
    night = {"file": (EMBEDDED_MODEL / "styles" / "night.safetensors").read_bytes()}
    added = httpx.post(f"{service.url}/v1/styles", data=about, files=night, timeout=120)
    assert added.status_code == 200, added.text
    try:
        all_draw(first)
        kill_one(f"{REPLICA}:DiffusionDeployment")
        wait_until(lambda: in_rotation() == 2, WITHIN_S, 0.1)
        all_draw(first + 10)
        config["applications"][0]["args"]["request_timeout_s"] = 297
        roll_out(config, tmp_path)
        wait_until(lambda: in_rotation() == 2, WITHIN_S, 0.1)
        all_draw(first + 20)
    finally:
        removed = httpx.delete(f"{service.url}/v1/styles/dusk", timeout=120)
    assert removed.status_code == 200
    refused = [draw(first + number, "dusk") for number in range(4)]
    assert [answer.status_code for answer in refused] == [400] * 4


def test_a_mistaken_configuration_leaves_the_old_one_serving(
    service: local.Running, config: dict[str, Any], tmp_path: Path
) -> None:
    config["applications"][0]["args"]["profile"] = "/nowhere/at-all.yaml"
    with Crowd(service.url) as crowd:
        draw_on(crowd, 4)
        local.deploy(config, tmp_path)
        wait_until(lambda: status() == "DEPLOY_FAILED", WITHIN_S, 0.1)
        draw_on(crowd)
    assert crowd.told.keys() == {"200"}, crowd.told
