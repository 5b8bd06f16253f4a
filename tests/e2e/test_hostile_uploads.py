"""Hundreds of hostile files over HTTP, several at once: a picture or a 4xx, and soon."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from deployments.postprocess.files.credentials import Signatory
from deployments.postprocess.files.formats import encode
from deployments.postprocess.schema.placements import MEDIA_TYPES, Output
from serve.commands.local import Running
from tests.certificates import write_chain
from tests.hostile_files import small_files
from tests.unit.postprocess.pictures import noise

AT_ONCE = 4
SLOWEST_S = 2.0
MOST_BYTES = 500 * 2**20


def peaks() -> dict[str, int]:
    """The peak memory, in bytes, of every process of the post-process room, by its id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"PostProcessDeployment" in (folder / "cmdline").read_bytes():
                status = (folder / "status").read_text()
                peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
                found[folder.name] = int(peak.split()[1]) * 1024
        except (OSError, StopIteration):
            continue  # it has ended meanwhile
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    signatory = Signatory(write_chain(tmp_path_factory.mktemp("chain")))
    signed = {
        name: signatory.sign(encode(noise(64, 48), Output(name), {"prompt": "a disc"}), kind)
        for name, kind in MEDIA_TYPES.items()
    }
    return small_files(signed)


@pytest.mark.parametrize("route", ["/v1/images/inspect", "/v1/images/edits"])
def test_hundreds_of_files(service: Running, files: dict[str, bytes], route: str) -> None:
    fields = {"prompt": "a disc", "num_inference_steps": "1", "size": "128x128", "strength": "1"}

    def post(name: str) -> tuple[str, int, float]:
        data = fields if route.endswith("edits") else {}
        began = time.monotonic()
        answer = client.post(route, data=data, files={"image": ("a", files[name])})
        return name, answer.status_code, time.monotonic() - began

    with httpx.Client(base_url=service.url, timeout=60) as client:
        before = peaks()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            told = list(threads.map(post, files))
        after = peaks()
        assert client.get("/health/ready").status_code == 200

    print(route, Counter(status for _, status, _ in told), max(took for *_, took in told))
    assert len(told) >= 500
    assert [(name, status) for name, status, _ in told if not 200 <= status < 500] == []
    assert {200, 413, 415} <= {status for _, status, _ in told}
    slow = [(name, took) for name, status, took in told if status >= 400 and took > SLOWEST_S]
    assert slow == []
    assert before
    assert set(before) <= set(after)  # none has died
    assert all(after[one] - before[one] < MOST_BYTES for one in before), (before, after)
