"""No malformed folder crashes the device thread, draws a picture, or is tried again for nothing."""

import gc
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.load import load_family
from deployments.diffusion.weights.composition import COMPOSITIONS
from deployments.errors import NotReady
from tests.unit.diffusion.conftest import ProfileOf
from tests.unit.diffusion.requests import text_to_image
from tests.unit.diffusion.weights import malformed_entries, malformed_files
from tests.unit.diffusion.weights.changed_folders import Malformed, link

DEADLINE_S = 120
KINDS = (*malformed_files.KINDS, *malformed_entries.KINDS)
CASES = [case for family in COMPOSITIONS for kind in KINDS for case in kind(family)]


@pytest.fixture(scope="module", autouse=True)
def frozen() -> Iterator[None]:
    """What is there already is no garbage: an engine whose load has failed collects all of it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def test_there_are_enough() -> None:
    names = [(case.family, case.name) for case in CASES]
    assert len(set(names)) == len(names) >= 200


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}: {case.name}")
def test_it_is_refused_by_name(
    profiles: ProfileOf, tmp_path: Path, caplog: pytest.LogCaptureFixture, case: Malformed
) -> None:
    profile = profiles[case.family](load_retry_s=300)
    folder = link(Path(profile.model.source), tmp_path / "model")
    case.change(folder)
    model = profile.model.model_copy(update={"source": str(folder)})
    profile = profile.model_copy(update={"model": model})
    engine = Engine(profile, partial(load_family, profile))
    try:
        engine.settled.result(DEADLINE_S)
        state = engine.state()
        assert state.phase == "failed"
        reason = str(state.reason)
        assert case.says in reason
        assert "internal error" not in reason
        assert "'model'" in reason or reason.startswith("model.variant: ")
        assert ("attempt 1" in reason) != case.final
        assert str(tmp_path) not in reason  # strangers may read it
        assert case.file in caplog.text
        assert engine.fault() is None
        with pytest.raises(NotReady):
            engine.submit("1", *text_to_image())
        assert state.loads_failed == 1
    finally:
        engine.close(DEADLINE_S)
    assert not engine._thread.is_alive()
