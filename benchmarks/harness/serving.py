"""`signboard serve`, or any other server, as a process of its own on this machine."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from deployments.diffusion.profile import DiffusionProfile
from serve.commands import LOOPBACK, free_port

READY_WITHIN_S = 240.0
STOPPED_WITHIN_S = 60.0
POLL_S = 0.1


class ServerFailed(RuntimeError):
    """A server ended or did not answer; the end of what it printed is in the message."""


@contextmanager
def signboard(profile: DiffusionProfile, library: Path | None = None) -> Iterator[str]:
    """The application on `profile`, started as a user does it; yields its address.

    library: a folder; by default one that goes with the server.
    """
    with tempfile.TemporaryDirectory(prefix="signboard-bench-") as name:
        command, url = serve_command(profile, Path(name), library)
        with process(command, url, "/health/ready") as url:
            yield url


def serve_command(
    profile: DiffusionProfile, folder: Path, library: Path | None = None
) -> tuple[list[str], str]:
    """What a user types to serve `profile`, and the address; files for it are put into `folder`."""
    file = write_profile(profile, folder)
    port = free_port()
    command = [sys.executable, "-m", "serve.commands.cli", "serve", "--profile", str(file)]
    command += ["--port", str(port), "--library", str(library or folder / "library")]
    return command, f"http://{LOOPBACK}:{port}"


def write_profile(profile: DiffusionProfile, folder: Path) -> Path:
    """The profile as a file of `folder`."""
    file = folder / "profile.yaml"
    fields = profile.model_dump(mode="json", exclude_none=True)
    file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return file


@contextmanager
def process(command: Sequence[str], url: str, ready: str) -> Iterator[str]:
    """A server's process; the block is entered once `url` + `ready` answers 200.

    Raises ServerFailed.
    """
    with tempfile.TemporaryFile() as said:
        server = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            deadline = time.monotonic() + READY_WITHIN_S
            while not _answers(url + ready):
                if server.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    end = said.read()[-2000:].decode(errors="replace")
                    raise ServerFailed(f"{' '.join(command)} is not ready: {end}")
                time.sleep(POLL_S)
            yield url
        finally:
            stop(server)


def engine_state(client: httpx.Client) -> dict[str, Any]:
    """What a Signboard server tells of its engine: `forwards`, `idle_s` and the like."""
    state: dict[str, Any] = client.get("/v1/capabilities").raise_for_status().json()["engine"]
    return state


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def stop(server: subprocess.Popen[Any]) -> None:
    """As Ctrl-C does it; the whole process group is ended if that takes too long."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
