"""What becomes of a signal while Ray starts, and of a deployment that its command gives up."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ray.exceptions import ActorDiedError
from ray.serve import scripts

from serve.commands import local


def test_sigterm_while_ray_starts_is_ctrl_c_and_the_handler_stays() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def start() -> None:
        with local.sigterm_kept():
            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))  # as Ray does
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        start()

    assert signal.getsignal(signal.SIGTERM) is before


def interrupted(*_: object, **__: object) -> None:
    """Ctrl-C before `serve run` looks for it: click makes an Abort of it."""
    raise KeyboardInterrupt


def shut_down(*_: object, **__: object) -> None:
    """As `serve run` ends on Ctrl-C."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        print("Got KeyboardInterrupt, shutting down...")
        sys.exit()


@pytest.mark.parametrize("run", [interrupted, shut_down])
def test_ctrl_c_while_deploying_is_no_refusal(
    run: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts.run, "callback", run)

    with pytest.raises(KeyboardInterrupt):
        local.deploy({}, tmp_path)


def test_a_configuration_that_is_none_is_refused_with_ray_s_reason(tmp_path: Path) -> None:
    with pytest.raises(local.StartFailed, match="applications"):
        local.deploy({"applications": "none"}, tmp_path)


def test_a_proxy_that_died_while_it_started_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise ActorDiedError

    monkeypatch.setattr(scripts.run, "callback", lost)

    with pytest.raises(local.StartFailed, match="died"):
        local.deploy({}, tmp_path)
