"""`signboard serve` as a supervisor runs it: SIGTERM stops it, and nothing of it is left."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from serve.loopback import free_port

READY_WITHIN_S, STOPPED_WITHIN_S, POLL_S = 180.0, 60.0, 0.25


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


def test_sigterm_stops_it_and_nothing_is_left() -> None:
    with tempfile.TemporaryDirectory(prefix="sb-") as name:
        folder, port = Path(name), free_port()
        command = [sys.executable, "-m", "serve.cli", "serve", "--port", str(port)]
        with (folder / "said").open("w+") as said:
            server = subprocess.Popen(
                command, stdout=said, stderr=said, env=os.environ | {"TMPDIR": name}
            )
            try:
                wait_until_ready(server, port)
                server.send_signal(signal.SIGTERM)
                assert server.wait(STOPPED_WITHIN_S) == 0
            finally:
                server.kill()
                server.wait(STOPPED_WITHIN_S)
            said.seek(0)
            assert said.read().endswith("Stopped.\n")
        deadline = time.monotonic() + STOPPED_WITHIN_S
        while left := alive(folder):
            assert time.monotonic() < deadline, left
            time.sleep(POLL_S)
        assert not list(folder.glob("signboard-*"))


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        assert server.poll() is None
        assert time.monotonic() < deadline
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(POLL_S)
