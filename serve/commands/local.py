"""Ray and the application on this machine alone: started, waited for, stopped again."""

import io
import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from configs import SERVE_CONFIG
from deployments.diffusion.start import LOAD_LIMIT_S
from serve.commands.loopback import LOOPBACK, is_free
from serve.profiles import load_profile

OBJECT_STORE_BYTES = 256 * 2**20  # pictures in passing; the rest of the machine is the model's
START_TIMEOUT_S = LOAD_LIMIT_S + 180.0  # a model is waited for as long as its replica waits
POLL_S = 0.25

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_AUTH_MODE": "token",  # Ray's own ports are open to the network: only we may use them
}


class StartFailed(RuntimeError):
    """The application did not become ready; the message says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """Where the started application is reached, and where it keeps its pictures and added styles.

    token: opens Ray's dashboard, if there is one.
    """

    url: str
    dashboard: str | None
    token: str
    logs: Path
    library: str
    styles: str


def read_config(
    profile: str, port: int, library: str | None = None, styles: str | None = None
) -> dict[str, Any]:
    """The production config for one profile, on one loopback port, whose users are its operators.

    library, styles: where pictures and added styles are kept, instead of its own.
    """
    config = _packaged()
    del config["controller_options"]  # what they set is in this process's environment already
    config["http_options"] |= {"host": LOOPBACK, "port": port}
    for application in config["applications"]:
        if profile != application["args"]["profile"]:  # what suits the small model alone
            for name in ("aliases", "nearest_sizes"):
                del application["args"][name]
        application["args"] |= {"profile": profile, "operator_routes": True}
        if library is not None:
            application["args"]["library"] = library
        if styles is not None:
            application["args"]["added_styles"] = styles
    return config


def prepare_environment() -> str:
    """Set what Ray reads when it is first imported; the token that its ports ask for.

    What the config sets for the controller is set for all: so Ray takes the processes that it has
    waiting, and need not start others with an environment of their own.
    """
    os.environ.update(ENVIRONMENT | _packaged()["controller_options"]["runtime_env"]["env_vars"])
    return os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))


def _packaged() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(SERVE_CONFIG.read_text(encoding="utf-8"))
    return config


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """SIGTERM's handler is the same after the block, in which Ray starts; for the main thread.

    Ray exits on SIGTERM while it starts: that is told as a KeyboardInterrupt. Then it takes the
    signal for a crash: it would abort, and leave processes behind.
    """
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def ray_cluster(folder: Path, *, dashboard: bool) -> Iterator[str | None]:
    """A Ray cluster of this machine with nothing deployed; yields its dashboard's address.

    folder: for its sockets and logs; a socket's path has to be short.
    """
    prepare_environment()
    import ray

    try:
        with sigterm_kept():
            context = ray.init(
                address="local",
                namespace="serve",
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=dashboard,
                dashboard_host=LOOPBACK,
                log_to_driver=False,
                configure_logging=False,
                _temp_dir=str(folder),
            )
        yield f"http://{context.dashboard_url}" if dashboard else None
    finally:
        ray.shutdown()


@contextmanager
def application(
    profile: str,
    port: int,
    on_wait: Callable[[str], None] = lambda state: None,
    *,
    dashboard: bool = False,
    library: str | None = None,
    styles: str | None = None,
) -> Iterator[Running]:
    """The application on a cluster of its own, ready when the block is entered.

    on_wait is told the state while it is waited for. library, styles: where pictures and added
    styles are kept; None keeps them while the block runs. Raises StartFailed.
    """
    if not is_free(port):
        raise StartFailed(f"port {port} is in use; choose another with --port")
    require_model(profile)
    on_wait("starting Ray")
    # The user's own temporary folder on macOS is too long for a socket's path.
    base = "/tmp" if sys.platform == "darwin" else None
    folder = Path(tempfile.mkdtemp(prefix="signboard-", dir=base))
    try:
        with ray_cluster(folder, dashboard=dashboard) as dashboard_url:
            running = Running(
                url=f"http://{LOOPBACK}:{port}",
                dashboard=dashboard_url,
                token=prepare_environment(),
                logs=folder / "session_latest" / "logs" / "serve",
                library=library or str(folder / "library"),
                styles=styles or str(folder / "styles"),
            )
            on_wait("starting Serve")
            deploy(read_config(profile, port, running.library, running.styles), folder)
            try:
                wait_until_ready(running, on_wait)
                yield running
            finally:
                undeploy()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_model(profile: str) -> None:
    """Raise StartFailed for a profile that is none, or whose model is not on this machine yet."""
    from deployments.diffusion.weights import is_here  # brings the hub's client

    try:
        source = load_profile(profile).model
    except ValueError as error:
        raise StartFailed(str(error)) from error
    if is_here(source):
        return
    if source.is_local:
        raise StartFailed(f"model.source: there is no folder {source.location}")
    raise StartFailed(
        f"{source.source} is not on this machine yet; fetch it first, and start again:\n"
        f"  signboard models pull --profile {profile}"
    )


def deploy(config: dict[str, Any], folder: Path) -> None:
    """Deploy the config as `serve run` does, and by it, in this process. Raises StartFailed."""
    from ray.exceptions import RayError
    from ray.serve.scripts import run

    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # of this process alone
    path = folder / SERVE_CONFIG.name
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            run.main(["--non-blocking", str(path)], standalone_mode=False)
    except (SystemExit, ValueError, RuntimeError) as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # click's Abort is a RuntimeError
            raise error.__context__ from None
        printed = isinstance(error, SystemExit)  # it says what went wrong, then exits
        reason = said.getvalue() if printed else str(error)
        raise StartFailed(f"Ray refused the configuration: {reason}") from error
    except (RayError, TimeoutError) as error:
        raise StartFailed(f"Serve did not start: {error}") from error


def undeploy() -> None:
    """Drain and stop every deployment; Serve's own processes end with the cluster."""
    from ray import serve as ray_serve

    for name in ray_serve.status().applications:
        ray_serve.delete(name)


def wait_until_ready(running: Running, on_wait: Callable[[str], None]) -> None:
    """Poll until the application is ready. Raises StartFailed when it cannot become so."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        health = readiness(running.url)
        if health["state"] == "ready":
            return
        on_wait(health["state"])
        if health["state"] == "failed":
            raise StartFailed(f"the model did not load: {health['reason']}")
        raise_if_given_up()
        time.sleep(POLL_S)
    raise StartFailed(f"not ready after {START_TIMEOUT_S:.0f} s; its logs are in {running.logs}")


def readiness(url: str) -> dict[str, Any]:
    """What /health/ready says; the state is "starting" while it does not answer."""
    try:
        health: dict[str, Any] = httpx.get(f"{url}/health/ready", timeout=10).json()
    except (httpx.TransportError, ValueError):
        health = {}
    return {"state": "starting", "reason": None} | ({} if "error" in health else health)


def raise_if_given_up() -> None:
    """Raise StartFailed if Ray gave an application up."""
    from ray import serve as ray_serve

    for name, application in ray_serve.status().applications.items():
        if application.status in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise StartFailed(f"{name} could not be deployed: {application.message}")
