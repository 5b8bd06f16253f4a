"""Out of memory at every stage: finished pictures, or one clean refusal, nothing left behind."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from deployments.diffusion.engine import admission
from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.base import Stage
from deployments.diffusion.memory import trying
from deployments.diffusion.memory.trying import is_out_of_memory
from deployments.diffusion.request.params import GenerationParams
from deployments.diffusion.weights.components import SharedComponents
from deployments.errors import OutOfMemory
from deployments.handover import Drawn, Given
from tests.budget import Budget, OnSmallDevice
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.requests import KINDS, image_to_image, inpaint, text_to_image
from tests.unit.diffusion.settled import settled_bytes

DEADLINE_S = 200
KB = 1000
Asked = tuple[GenerationParams, Given | None]


class Small:
    """An engine on a device with a budget."""

    def __init__(self, checkpoint: Path) -> None:
        profile = tiny_profile(checkpoint, embedding_cache_bytes=0)
        self.budget = Budget()
        self.engine = Engine(
            profile,
            lambda _: OnSmallDevice(SharedComponents.load(profile.model), 64, self.budget),
        )
        wait_until(lambda: self.engine.state().phase == "ready", DEADLINE_S)
        self.weights = self.engine.state().held_bytes

    def leave(self, room: dict[Stage, int]) -> None:
        """Leave each stage that many bytes beside the weights."""
        self.budget.limits = {stage: self.weights + size for stage, size in room.items()}

    def draw(self, params: GenerationParams, given: Given | None) -> Drawn:
        return self.engine.submit("one", params, given).result(DEADLINE_S)

    def live_bytes(self) -> int:
        """Of all storages, once the device thread holds nothing of the last request."""
        return settled_bytes(self.engine)

    def draw_twenty(self, twins: list[np.ndarray]) -> None:
        """All at once; each must be the picture that it is alone, and without any recovery."""
        futures = [self.engine.submit(f"{i}", *asked) for i, asked in enumerate(TWENTY)]
        for future, twin in zip(futures, twins, strict=True):
            drawn = future.result(DEADLINE_S)
            assert drawn.recovery == ()
            assert_same_picture(drawn.pictures, twin)

    @property
    def rungs(self) -> dict[str, int]:
        return {rung: count for rung, count in self.engine.state().rungs.items() if count}


@pytest.fixture(scope="module")
def twins(checkpoint: Path) -> list[np.ndarray]:
    """The twenty as they are drawn alone, with memory to spare."""
    engine = Small(checkpoint).engine
    drawn = [engine.submit("twin", *asked).result(DEADLINE_S) for asked in TWENTY]
    engine.close()
    return [one.pictures for one in drawn]


@pytest.fixture
def small(
    checkpoint: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Small]:
    monkeypatch.setattr(admission, "IDLE_BEAT_S", 0.05)  # the tests wait for many a beat
    monkeypatch.setattr(trying, "QUIET_S", 600.0)  # nothing comes back while they look
    caplog.set_level(logging.ERROR, "deployments.diffusion")
    small = Small(checkpoint)
    yield small
    small.engine.close()


TWENTY = [
    KINDS[i % 3](seed=i, n=1 + i % 2, width=64 + 32 * (i % 2), num_inference_steps=2)
    for i in range(20)
]

SQUEEZES: list[tuple[str, dict[Stage, int], Asked, set[str]]] = [
    ("encode", {"encode": 60 * KB}, text_to_image(), {"alone"}),
    (
        "start",
        {"start": 1500 * KB},
        image_to_image(width=128, height=128),
        {"tiled_encode"},
    ),
    ("full batch", {"forward": 800 * KB}, inpaint(n=8), {"halved_batch"}),
    (
        "one row",
        {"forward": 250 * KB},
        text_to_image(n=2),
        {"halved_batch", "text_encoder_on_host"},
    ),
    ("row alone", {"forward": 100 * KB}, text_to_image(), {"text_encoder_on_host", "alone"}),
    ("decode", {"decode": 1500 * KB}, text_to_image(width=128, n=2), {"tiled_decode"}),
    (
        "large decode",
        {"decode": 1500 * KB},
        text_to_image(width=192, height=192),
        {"tiled_decode", "text_encoder_on_host", "alone"},
    ),
]


@pytest.mark.parametrize(
    ("room", "asked", "rungs"), [case[1:] for case in SQUEEZES], ids=[case[0] for case in SQUEEZES]
)
def test_what_fits_is_drawn_and_what_was_done_is_told(
    small: Small,
    twins: list[np.ndarray],
    room: dict[Stage, int],
    asked: Asked,
    rungs: set[str],
) -> None:
    roomy = small.draw(*asked)
    assert roomy.recovery == ()
    before, held = small.live_bytes(), small.budget.held
    small.leave(room)
    squeezed = small.draw(*asked)
    assert set(squeezed.recovery) == rungs == set(small.rungs)
    assert len(squeezed.warnings) == len(rungs)
    if rungs & {"tiled_decode", "tiled_encode"}:
        assert any("tiles" in warning for warning in squeezed.warnings)
        close = np.abs(squeezed.pictures.astype(int) - roomy.pictures)
        assert np.percentile(close, 90) <= 24  # random weights make the worst of tiles
    else:
        assert_same_picture(squeezed.pictures, roomy.pictures)
    small.budget.limits = {}
    del squeezed
    small.draw_twenty(twins)
    assert small.live_bytes() == before
    out = small.weights - small.engine.state().device_bytes
    assert (out > 0) == ("text_encoder_on_host" in rungs)
    assert small.budget.held == held - out


@pytest.mark.parametrize("stage", ["encode", "start", "forward", "decode"])
def test_what_does_not_fit_is_refused_and_harms_nobody(
    small: Small, twins: list[np.ndarray], stage: Stage
) -> None:
    asked = image_to_image(width=192, height=192, n=2)
    before = small.live_bytes()
    small.budget.limits = {stage: 1}
    with pytest.raises(OutOfMemory) as refused:
        small.draw(*asked)
    assert refused.value.code == "out_of_memory"
    if stage == "encode":
        assert (refused.value.param, "shorten" in refused.value.message) == ("prompt", True)
    else:
        assert refused.value.param == "size"
        assert "192x192; ask for a smaller size, such as 96x64 or fewer" in refused.value.message
    assert small.rungs["refused"] == 1
    small.budget.limits = {}
    small.draw_twenty(twins)
    assert small.engine.state().running == small.engine.state().decoding == 0
    assert small.live_bytes() == before


def test_neighbours_of_a_refused_row_are_drawn(small: Small) -> None:
    large, tiny = text_to_image(width=192, height=192), text_to_image(seed=3)
    twin = small.draw(*tiny).pictures
    small.budget.limits = {"forward": 2900 * KB}  # too little for 192x192, even alone
    futures = {name: small.engine.submit(name, *a) for name, a in (("large", large), ("a", tiny))}
    assert small.draw(*tiny).pictures.shape == twin.shape
    with pytest.raises(OutOfMemory):
        futures["large"].result(DEADLINE_S)
    assert_same_picture(futures["a"].result(DEADLINE_S).pictures, twin)


def test_a_batch_that_did_not_fit_is_not_tried_again(small: Small) -> None:
    small.leave({"forward": 800 * KB})
    small.draw(*text_to_image(n=8, num_inference_steps=8))
    assert small.rungs == {"halved_batch": 3}  # 8, and two of 4: then every forward has 2 rows


def test_what_memory_forced_is_undone_after_a_quiet_while_that_doubles(small: Small) -> None:
    loaded = small.engine._loaded
    assert loaded is not None
    now, reliefs = [0.0], ("halved_batch", "text_encoder_on_host")
    for paused in (loaded.recovery._halved, loaded.recovery._moved_out):
        paused._clock = lambda: now[0]

    def left_s() -> set[float]:
        told = small.engine.state().reliefs_left_s
        assert tuple(told) == reliefs
        return set(told.values())

    def undone() -> bool:
        return left_s() == {0.0} and small.engine.state().device_bytes == small.weights

    assert undone()
    pause_s, asked = trying.QUIET_S, text_to_image(n=2)
    for _ in range(3):
        small.leave({"forward": 250 * KB})
        assert set(small.draw(*asked).recovery) == set(reliefs)
        assert left_s() == {pause_s}
        small.leave({})
        now[0] += pause_s - 1
        assert small.draw(*asked).recovery == ()
        assert left_s() == {1.0}
        assert small.engine.state().device_bytes < small.weights
        small.budget.limits = {"decode": 1}  # another shortage: the quiet while begins anew
        with pytest.raises(OutOfMemory):
            small.draw(*asked)
        assert left_s() == {pause_s}
        small.leave({})
        now[0] += pause_s
        wait_until(undone, DEADLINE_S)
        pause_s *= 2
    used = {name: small.rungs[name] for name in reliefs}
    assert used == {"halved_batch": 3, "text_encoder_on_host": 3}
    now[0] += trying.MOST_S
    assert small.draw(*asked).recovery == ()


def test_finished_latents_outlive_a_failed_decode(small: Small) -> None:
    forwards = small.engine.state().forwards
    small.leave({"decode": 1500 * KB})
    small.draw(*text_to_image(width=128, num_inference_steps=5))
    assert small.engine.state().forwards == forwards + 5


def test_what_allocators_raise_is_known() -> None:
    with pytest.raises(RuntimeError) as too_much:
        torch.empty(2**62, dtype=torch.uint8)
    assert is_out_of_memory(too_much.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory("not enough memory")
