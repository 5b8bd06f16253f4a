"""What becomes of a deployment that Ray's own command gives up."""

import sys
from pathlib import Path

import pytest
from ray.serve import scripts

from serve import local


def interrupted(*_: object, **__: object) -> None:
    """As `serve run` ends on Ctrl-C."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        print("Got KeyboardInterrupt, shutting down...")
        sys.exit()


def test_ctrl_c_while_deploying_is_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts.run, "main", interrupted)

    with pytest.raises(KeyboardInterrupt):
        local.deploy({}, tmp_path)


def test_a_configuration_that_is_none_is_refused_with_ray_s_reason(tmp_path: Path) -> None:
    with pytest.raises(local.StartFailed, match="applications"):
        local.deploy({"applications": "none"}, tmp_path)
