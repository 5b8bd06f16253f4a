"""`signboard serve` as a supervisor runs it: SIGTERM stops it, and nothing of it is left."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from serve.commands.loopback import free_port

READY_WITHIN_S, STOPPED_WITHIN_S, POLL_S = 180.0, 60.0, 0.05
GONE_WITHIN_S = 120.0  # Ray's agents that are still starting take a minute to see that it is gone


def alive(below: Path) -> list[str]:
    """The processes whose temporary folder is `below`, by what `ps` shows of them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            if f"TMPDIR={below}".encode() in environment:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended meanwhile, or is not ours
            continue
    return found


def ready(port: int, said: Path) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def starting(port: int, said: Path) -> bool:
    """As soon as Ray runs, which takes SIGTERM for itself while it starts."""
    return "starting Serve" in said.read_text()


@pytest.mark.parametrize("when", [starting, ready])
def test_sigterm_stops_it_and_nothing_is_left(when: Callable[[int, Path], bool]) -> None:
    with tempfile.TemporaryDirectory(prefix="sb-") as name:
        folder, port = Path(name), free_port()
        said = folder / "said"
        command = [sys.executable, "-m", "serve.commands.cli", "serve", "--port", str(port)]
        with said.open("w") as out:
            server = subprocess.Popen(
                command, stdout=out, stderr=out, env=os.environ | {"TMPDIR": name}
            )
        try:
            deadline = time.monotonic() + READY_WITHIN_S
            while not when(port, said):
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(POLL_S)
            server.send_signal(signal.SIGTERM)
            assert server.wait(STOPPED_WITHIN_S) == 0, said.read_text()
        finally:
            server.kill()
            server.wait(STOPPED_WITHIN_S)
        assert said.read_text().endswith("Stopped.\n")
        deadline = time.monotonic() + GONE_WITHIN_S
        while left := alive(folder):
            assert time.monotonic() < deadline, left
            time.sleep(POLL_S)
        assert not list(folder.glob("signboard-*"))
