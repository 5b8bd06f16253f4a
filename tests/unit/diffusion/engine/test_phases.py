"""The phases of an engine's life follow each other by one rule, whoever asks for the next."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deployments.diffusion.engine.admission import Admission
from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.engine.state import SERVING, Phase
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.request.request import Row
from deployments.diffusion.weights.components import SharedComponents
from deployments.errors import NotReady
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.requests import text_to_image

DEADLINE_S = 200
PHASES: tuple[Phase, ...] = get_args(Phase)
asked = st.lists(st.sampled_from([*PHASES, "give up"]), max_size=40)


@given(asked)
def test_every_way_through_a_life(asked: list[Phase]) -> None:
    admission = Admission(tiny_profile(Path("/nowhere")))
    before: Phase = "loading"
    for phase in asked:
        if phase == "give up":
            admission.give_up("stuck")
        else:
            admission.enter(phase, f"because of {phase}")
        now = admission.queue().phase
        if phase == "give up":
            assert now not in SERVING
        if now != before:
            assert now == "draining" or before != "draining"
            assert before != "failed" or now in ("loading", "draining")
            assert now != "sleeping" or before == "ready"
            assert now != "ready" or before in ("warming", "sleeping")
            assert now != "warming" or before == "loading"
            assert now != "loading" or before == "failed"
        before = now


def test_a_refused_phase_leaves_the_reason() -> None:
    admission = Admission(tiny_profile(Path("/nowhere")))
    admission.give_up("the device thread is stuck")
    admission.enter("sleeping", "idle")
    admission.enter("ready")
    assert admission.queue().phase == "failed"
    assert admission.queue().reason == "the device thread is stuck"


def test_a_thread_that_comes_back_does_not_bring_a_failed_engine_back(checkpoint: Path) -> None:
    """Not to sleep either, though it finds nothing to do."""
    gate, reached = threading.Event(), threading.Event()

    class Stuck(ZImage):
        def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
            if rows[0].request.id != "warm-up":
                reached.set()
                assert gate.wait(DEADLINE_S)
            return super().velocity(rows)

    profile = tiny_profile(checkpoint)
    model = profile.model.model_copy(update={"residency": "sleep", "sleep_after_s": 0.0})
    profile = profile.model_copy(update={"model": model})
    engine = Engine(profile, lambda _: Stuck(SharedComponents.load(model), 64))
    wait_until(lambda: engine.state().phase in SERVING, DEADLINE_S)
    future = engine.submit("1", *text_to_image())
    assert reached.wait(DEADLINE_S)
    engine.give_up("stuck")
    gate.set()
    with pytest.raises(NotReady):
        future.result(DEADLINE_S)
    engine._thread.join(DEADLINE_S)
    assert engine.state().phase == "failed"
    assert engine.fault() is not None
    engine.close()
