"""A start: told part by part, its imports without a look for garbage."""

import gc
from pathlib import Path

import pytest

from deployments.diffusion.start import StartTimes, describe, in_one_go
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.conftest import MakeEngine


def test_a_ready_engine_tells_its_phases(checkpoint: Path, make_engine: MakeEngine) -> None:
    start_s = make_engine(tiny_profile(checkpoint)).state().start_s

    assert list(start_s) == ["plan", "weights", "placement", "warm_up"]
    assert all(seconds > 0 for seconds in start_s.values())


def test_each_phase_begins_where_the_one_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 11.0, 13.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(moments))
    phases = StartTimes()
    phases.end("one")
    phases.end("two")

    assert phases.seconds == {"one": 1.0, "two": 2.5}
    assert describe(phases.seconds) == "3.50 s: one 1.00, two 2.50"


def test_garbage_is_looked_for_again_after_imports_that_fail() -> None:
    looked: list[bool] = []

    def fail() -> None:
        looked.append(gc.isenabled())
        raise ModuleNotFoundError

    with pytest.raises(ModuleNotFoundError), in_one_go():
        fail()

    assert (looked, gc.isenabled()) == ([False], True)
    gc.unfreeze()  # other tests count what lives
