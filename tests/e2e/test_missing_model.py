"""A model folder that is not there: the application says so and does not become ready."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from configs import profile_path
from serve.commands import local
from tests.polling import wait_until


@pytest.fixture
def url(service: local.Running, tmp_path: Path) -> Iterator[str]:
    """A second application beside the first, whose model folder is missing."""
    profile = yaml.safe_load(profile_path("embedded").read_text(encoding="utf-8"))
    profile["model"]["source"] = "./nowhere"
    path = tmp_path / "absent.yaml"
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")
    port = httpx.URL(service.url).port or 0
    config = local.read_config("embedded", port, service.library, service.styles)
    (absent,) = local.read_config(str(path), 0, service.library)["applications"]
    absent |= {"name": "absent", "route_prefix": "/absent"}
    for deployment in absent["deployments"]:
        if deployment["name"] == "Ingress":
            deployment["num_replicas"] = 1
    both = {**config, "applications": [*config["applications"], absent]}
    local.deploy(both, tmp_path)
    yield f"{service.url}/absent"
    local.deploy(config, tmp_path)


def test_it_says_what_is_missing_and_stays_up(url: str) -> None:
    wait_until(lambda: local.readiness(url)["state"] == "failed", 120, 0.2)

    ready = httpx.get(f"{url}/health/ready", timeout=10)
    drawn = httpx.post(f"{url}/v1/images/generations", json={"prompt": "a red circle"}, timeout=10)

    assert ready.status_code == 503
    assert "nowhere" in ready.json()["reason"]
    assert str(Path.cwd()) not in ready.text
    assert httpx.get(f"{url}/health/live", timeout=10).status_code == 200
    assert drawn.status_code == 503
    assert drawn.json()["error"]["code"] == "model_failed"
    assert int(drawn.headers["retry-after"]) >= 1
