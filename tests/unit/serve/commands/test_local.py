"""What is told before Ray starts; what becomes of a signal while it does, and of a deployment that
its command gives up.
"""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ray.exceptions import ActorDiedError
from ray.serve import scripts

from configs import profile_path
from serve.commands import local
from serve.commands.loopback import free_port


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


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (
            {"source": "someone/model", "revision": "0" * 40},
            "someone/model is not on this machine yet.*\n  signboard models pull --profile",
        ),
        ({"source": "./nowhere"}, "there is no folder .*nowhere"),
        ({"source": "someone/model"}, "revision: pin the hub model"),
    ],
)
def test_a_model_that_is_not_here_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: dict[str, str], says: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    profile = yaml.safe_load(profile_path("embedded").read_text(encoding="utf-8"))
    profile["model"] |= model
    path = tmp_path / "absent.yaml"
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")
    told: list[str] = []

    with (
        pytest.raises(local.StartFailed, match=says),
        local.application(str(path), free_port(), told.append),
    ):
        pass

    assert not told


def test_a_profile_that_there_is_not_is_told_before_anything_starts() -> None:
    with (
        pytest.raises(local.StartFailed, match="'nothing' is neither a file nor one of embedded"),
        local.application("nothing", free_port()),
    ):
        pass
