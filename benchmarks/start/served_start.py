"""A start of `signboard serve`, by what the command, Ray's logs and the engine say of it."""

import json
import os
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import httpx

from benchmarks.harness import READY_WITHIN_S, ServerFailed, serve_command, stop
from deployments.diffusion.profile import DiffusionProfile

CONTROLLER_LINE = re.compile(r"\w+ (\S+ \S+) controller \d+ -- (.*)")
ENGINE_PARTS = {
    "imports": "replica: imports",
    "plan": "memory plan",
    "weights": "weights, tokenizer",
    "placement": "placement",
    "warm_up": "warm-up",
}


def start(profile: DiffusionProfile) -> dict[str, float]:
    """Seconds by part, in the order of a start, until the command says that it is ready.

    Raises ServerFailed.
    """
    with tempfile.TemporaryDirectory(prefix="signboard-bench-") as name:
        command, url = serve_command(profile, Path(name))
        began = time.time()
        server = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        limit = threading.Timer(READY_WITHIN_S, server.kill)
        limit.start()
        try:
            said, logs = _listen(server)
            capabilities = httpx.get(f"{url}/v1/capabilities", timeout=30).raise_for_status().json()
            return _parts(began, said, logs, capabilities["engine"]["start_s"])
        finally:
            limit.cancel()
            stop(server)


def _listen(server: "subprocess.Popen[str]") -> tuple[dict[str, float], Path]:
    """When each line of the command was said first, and where the logs are."""
    said: dict[str, float] = {}
    for line in server.stdout or ():
        words = line.split()
        said.setdefault(" ".join(words), time.time())
        if words and words[0] == "API":
            said["ready"] = time.time()
        if words and words[0] == "Logs":
            return said, Path(words[1])
    raise ServerFailed(f"signboard serve ended before it was ready: {list(said)}")


def _parts(
    began: float, said: dict[str, float], logs: Path, engine_s: dict[str, float]
) -> dict[str, float]:
    controller = _controller(logs)
    moments = {
        "command: interpreter, imports": said["starting Ray ..."],
        "Ray": said["starting Serve ..."],
        "Serve: controller, proxy": controller["Importing and building app 'signboard'."],
        "application built": controller["Imported and built app 'signboard' successfully."],
        "replica: process": _replica_began(logs),
    }
    parts, last = {}, began
    for name, moment in moments.items():
        parts[name], last = moment - last, moment
    parts |= {name: engine_s[key] for key, name in ENGINE_PARTS.items()}
    return {**parts, "until it is seen": said["ready"] - began - sum(parts.values())}


def _controller(logs: Path) -> dict[str, float]:
    """When the controller said what."""
    (file,) = logs.glob("controller_[0-9]*.log")
    matches = map(CONTROLLER_LINE.match, file.read_text(encoding="utf-8").splitlines())
    return {match[2]: _seconds(match[1]) for match in matches if match}


def _replica_began(logs: Path) -> float:
    """When the diffusion room's replica began to make what it serves."""
    (file,) = logs.glob("replica_signboard_DiffusionDeployment_*.log")
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    line = next(line for line in lines if line["message"] == "Started initializing replica.")
    return _seconds(line["asctime"])


def _seconds(asctime: str) -> float:
    """The time that a log's line tells: local, with milliseconds after a comma."""
    whole, milliseconds = asctime.split(",")
    return time.mktime(time.strptime(whole, "%Y-%m-%d %H:%M:%S")) + int(milliseconds) / 1000
