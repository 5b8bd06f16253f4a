"""The lane: pictures decoded while others step, and what becomes of them when that goes wrong."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request.cost import CostModel
from deployments.diffusion.request.params import Terms
from deployments.errors import GenerationFailed, NotReady
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import text_to_image
from tests.unit.diffusion.settled import settled_bytes

DEADLINE_S = 200
STALL_S = 2
LONG = text_to_image(num_inference_steps=20, width=192, height=192, n=2)
SHORT = text_to_image(num_inference_steps=1)


class Watched(ZImage):
    """Notes by whom each picture is decoded, with how many threads; the lane waits for a gate, and
    raises what the test wants.
    """

    gate: ClassVar[threading.Event]
    decodes: ClassVar[list[tuple[str, int]]]
    error: ClassVar[Exception | None]

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> np.ndarray:
        thread = threading.current_thread().name
        self.decodes.append((thread, torch.get_num_threads()))
        if thread == "lane":
            assert self.gate.wait(DEADLINE_S)
            if self.error:
                raise self.error
        return super().decode(latents, tiled=tiled)


@pytest.fixture
def profile(checkpoint: Path) -> DiffusionProfile:
    profile = tiny_profile(checkpoint, threads=2, embedding_cache_bytes=0)
    limits = profile.engine.model_copy(update={"stall_s": STALL_S})
    return profile.model_copy(update={"engine": limits})


@pytest.fixture
def engine(profile: DiffusionProfile, make_engine: MakeEngine) -> Iterator[Engine]:
    Watched.gate, Watched.error = threading.Event(), None
    Watched.decodes = []
    engine = make_engine(profile, Watched)
    Watched.decodes.clear()
    yield engine
    Watched.gate.set()


def test_others_step_and_are_delivered_while_one_is_decoded(engine: Engine) -> None:
    long, short = engine.submit("long", *LONG), engine.submit("short", *SHORT)
    together = [long.result(DEADLINE_S)]
    assert not short.done()
    Watched.gate.set()
    together.append(short.result(DEADLINE_S))
    assert Watched.decodes == [("lane", 1), ("device", 1), ("device", 1)]
    assert engine.state().decodes_beside == 1
    Watched.decodes.clear()
    for drawn, asked in zip(together, (LONG, SHORT), strict=True):
        alone = engine.submit("alone", *asked).result(DEADLINE_S)
        assert_same_picture(drawn.pictures, alone.pictures)
    assert Watched.decodes == [("device", 2)] * 3
    assert engine.state().decodes_beside == 1


def test_bulk_work_does_not_slow_an_interactive_decode(engine: Engine) -> None:
    bulk = engine.submit("bulk", *LONG, Terms("bulk"))
    engine.submit("urgent", *SHORT).result(DEADLINE_S)
    assert not bulk.done()
    assert Watched.decodes == [("device", 2)]
    bulk.result(DEADLINE_S)


def test_a_first_pass_is_decoded_where_the_second_begins(engine: Engine) -> None:
    asked = text_to_image(width=128, height=128, hires=True)
    alone = engine.submit("alone", *asked).result(DEADLINE_S)
    Watched.gate.set()
    long = engine.submit("long", *LONG)
    hires = engine.submit("hires", *asked).result(DEADLINE_S)
    assert_same_picture(hires.pictures, alone.pictures)
    assert Watched.decodes[2] == ("device", 1)
    long.result(DEADLINE_S)


def test_a_fault_in_the_lane_harms_only_its_own_request(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "deployments.diffusion")
    Watched.error = RuntimeError("no such picture")
    Watched.gate.set()
    long, short = engine.submit("long", *LONG), engine.submit("short", *SHORT)
    with pytest.raises(GenerationFailed):
        short.result(DEADLINE_S)
    long.result(DEADLINE_S)


def test_what_finds_no_memory_in_the_lane_is_decoded_again(engine: Engine) -> None:
    Watched.error = torch.OutOfMemoryError("no room beside the other")
    Watched.gate.set()
    long, short = engine.submit("long", *LONG), engine.submit("short", *SHORT)
    picture = short.result(DEADLINE_S).pictures
    long.result(DEADLINE_S)
    assert [thread for thread, _ in Watched.decodes[:2]] == ["lane", "device"]
    assert_same_picture(picture, engine.submit("1", *SHORT).result(DEADLINE_S).pictures)


def test_who_is_decoded_in_the_lane_can_be_cancelled(engine: Engine) -> None:
    engine.submit("first", *LONG).result(DEADLINE_S)
    before = settled_bytes(engine)
    long, short = engine.submit("long", *LONG), engine.submit("short", *SHORT)
    wait_until(lambda: ("lane", 1) in Watched.decodes, DEADLINE_S)
    engine.cancel("short")
    with pytest.raises(CancelledError):
        short.result(DEADLINE_S)
    engine.cancel("long")
    with pytest.raises(CancelledError):
        long.result(DEADLINE_S)
    Watched.gate.set()
    wait_until(lambda: settled_bytes(engine) == before, DEADLINE_S)


def test_a_stuck_lane_is_a_fault(engine: Engine) -> None:
    long, short = engine.submit("long", *LONG), engine.submit("short", *SHORT)
    assert engine.fault() is None
    long.result(DEADLINE_S)
    engine._admission.cost = CostModel()  # which predicts nothing: the limit is STALL_S
    wait_until(engine.fault, DEADLINE_S)
    fault = engine.fault()
    assert fault is not None
    assert "a decode is stuck" in fault
    engine.give_up(fault)
    with pytest.raises(NotReady):
        short.result(0)


def test_what_is_planned_for_one_piece_of_work_has_no_lane(
    profile: DiffusionProfile, make_engine: MakeEngine
) -> None:
    model = profile.model.model_copy(update={"memory_budget": 10**9})
    Watched.decodes, Watched.gate = [], threading.Event()
    planned = make_engine(profile.model_copy(update={"model": model}), Watched)
    futures = [planned.submit(f"{i}", *asked) for i, asked in enumerate((LONG, SHORT))]
    for future in futures:
        future.result(DEADLINE_S)
    assert planned.state().decodes_beside == 0
