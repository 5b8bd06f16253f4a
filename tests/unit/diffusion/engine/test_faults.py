"""The device thread dies, is stuck, or fails: health says so and why, and nobody waits for it."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.base import Family
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.request.request import Row
from deployments.diffusion.weights.audit import live_storage_bytes
from deployments.diffusion.weights.components import ModelUnavailable, SharedComponents
from deployments.errors import NotReady
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import text_to_image

DEADLINE_S = 200
STALL_S = 2


class Killed(BaseException):
    """What no handler of errors expects."""


class Fragile(ZImage):
    """For the prompt "cat" the device thread is killed, for "dog" it is stuck until released."""

    stuck: ClassVar[threading.Event]

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        prompts = {row.request.params.prompt for row in rows}
        if "cat" in prompts:
            raise Killed
        if "dog" in prompts:
            self.stuck.wait(DEADLINE_S)
        return super().velocity(rows)


@pytest.fixture
def fragile(checkpoint: Path, make_engine: MakeEngine) -> Iterator[Engine]:
    Fragile.stuck = threading.Event()
    profile = tiny_profile(checkpoint, max_running=1)
    limits = profile.engine.model_copy(update={"stall_s": STALL_S})
    yield make_engine(profile.model_copy(update={"engine": limits}), Fragile)
    Fragile.stuck.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_killed_thread(fragile: Engine) -> None:
    futures = [fragile.submit(f"{i}", *text_to_image(prompt="cat")) for i in range(3)]
    for future in futures:
        with pytest.raises(NotReady):
            future.result(DEADLINE_S)
    assert fragile.fault() == "the device thread has failed (Killed); see its log"
    assert fragile.state().phase == "failed"
    with pytest.raises(NotReady):
        fragile.submit("late", *text_to_image())


def test_an_error_of_the_threads_own(fragile: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise KeyError("tick")

    monkeypatch.setattr(fragile._admission, "next_decodes", broken)
    future = fragile.submit("1", *text_to_image())
    with pytest.raises(NotReady):
        future.result(DEADLINE_S)
    assert fragile.fault() == "the device thread has failed (KeyError); see its log"


def test_a_stuck_thread(fragile: Engine) -> None:
    assert fragile.fault() is None
    futures = [fragile.submit(f"{i}", *text_to_image(prompt="dog")) for i in range(3)]
    wait_until(fragile.fault, DEADLINE_S)
    fault = fragile.fault()
    assert fault is not None
    assert "stuck: it has finished nothing for" in fault
    fragile.give_up(fault)
    for future in futures:
        with pytest.raises(NotReady):
            future.result(0)
    with pytest.raises(NotReady, match="stuck"):
        fragile.submit("late", *text_to_image())


def test_an_idle_thread_is_not_stuck(fragile: Engine) -> None:
    before = time.monotonic() - fragile.state().beat_age_s
    wait_until(lambda: time.monotonic() - fragile.state().beat_age_s > before + 0.01, DEADLINE_S)
    wait_until(lambda: fragile.state().beat_age_s > 0.1, DEADLINE_S)
    assert fragile.fault() is None


def test_a_failed_load_is_told_and_tried_again(checkpoint: Path) -> None:
    """Two loads fail, one of them after the weights were there; the third one serves."""
    profile = tiny_profile(checkpoint)
    limits = profile.engine.model_copy(update={"load_retry_s": 0.5})
    profile = profile.model_copy(update={"engine": limits})
    attempts: list[int] = []
    reasons: set[str] = set()

    class HalfReady(ZImage):
        def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
            raise torch.OutOfMemoryError

    def load(reliefs: object) -> ZImage:
        attempts.append(live_storage_bytes())
        if len(attempts) == 1:
            raise ModelUnavailable("the disk is not there")
        components = SharedComponents.load(profile.model)
        return (HalfReady if len(attempts) == 2 else ZImage)(components, 64)

    engine = Engine(profile, load)

    def ready() -> bool:
        state = engine.state()
        if state.phase == "failed":
            reasons.add(str(state.reason))
            assert engine.fault() is None
            with pytest.raises(NotReady):
                engine.submit("early", *text_to_image())
        return state.phase == "ready"

    wait_until(ready, DEADLINE_S)
    assert reasons == {
        "the disk is not there (attempt 1; the next one in 0.5 s)",
        "size: the device's memory cannot hold 64x64; nothing smaller is served here "
        "(attempt 2; the next one in 1 s)",
    }
    assert attempts[2] == attempts[0]  # of the second attempt's weights nothing was left
    assert engine.state().loads_failed == 2
    engine.submit("1", *text_to_image()).result(DEADLINE_S)
    engine.close()


def test_closing_ends_the_wait_for_the_next_load(tmp_path: Path) -> None:
    profile = tiny_profile(tmp_path / "nowhere")
    engine = Engine(profile, lambda _: ZImage(SharedComponents.load(profile.model), 64))
    wait_until(lambda: engine.state().phase == "failed", DEADLINE_S)
    engine.close(DEADLINE_S)
    assert not engine._thread.is_alive()


def test_waiting_for_a_model_that_cannot_be_loaded_ends_with_its_reason(checkpoint: Path) -> None:
    def load(reliefs: object) -> Family:
        raise ModelUnavailable("model.source: there is no such folder")

    engine = Engine(tiny_profile(checkpoint), load)
    try:
        with pytest.raises(NotReady, match="no such folder"):
            engine.wait_until_ready(60)
        with pytest.raises(NotReady):
            engine.wait_until_ready(0)
    finally:
        engine.close()
