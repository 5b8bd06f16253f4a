"""A device that is lost, or a model that draws nothing any more, ends the engine; a request never.

A dead engine is what `fault` tells, which fails Serve's health check; nobody's request ends as an
error of the model then, but as one that may be tried elsewhere.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
import torch

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.engine.health import FEW
from deployments.diffusion.families.base import EncodedPrompt, Family
from deployments.diffusion.families.load import FAMILIES
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.memory.trying import is_device_error
from deployments.diffusion.request.params import GenerationParams
from deployments.diffusion.request.request import Row, Start
from deployments.diffusion.weights.components import SharedComponents
from deployments.errors import GenerationFailed, ReplicaDown
from deployments.handover import Given
from tests.moving import Moving, load_moving
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.conftest import MakeEngine, ProfileOf
from tests.unit.diffusion.requests import image_to_image, text_to_image

DEADLINE_S = 200
LOST = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
NO_NUMBERS = GenerationFailed("The model drew no numbers.", None, "not_finite")
LIBRARY = RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasGemmEx")


class Faulty:
    """A family that raises `error` in one `stage`: for these prompts, or for all.

    encoded: prompts whose encoding was not kept, in their order; the engine's own among them.
    """

    stage: ClassVar[str | None]
    error: ClassVar[Exception]
    prompts: ClassVar[tuple[str, ...] | None]
    encoded: ClassVar[list[str]]

    @classmethod
    def set(cls, stage: str | None, error: Exception = LOST, *prompts: str) -> None:
        cls.stage, cls.error, cls.prompts = stage, error, prompts or None
        cls.encoded = []

    @classmethod
    def reach(cls, stage: str, *prompts: str) -> None:
        ours = cls.prompts is None or not set(cls.prompts).isdisjoint(prompts)
        if stage == cls.stage and ours:
            raise cls.error


def faulty(family: str) -> type:
    base: Any = FAMILIES[family]

    class FaultyFamily(base):
        def encode(self, prompt: str, references: object = ()) -> EncodedPrompt:
            Faulty.encoded.append(prompt)
            Faulty.reach("encode", prompt)
            return cast(EncodedPrompt, super().encode(prompt))

        def start(
            self, params: GenerationParams, given: Given | None, *, tiled: bool = False
        ) -> list[Start]:
            Faulty.reach("start", params.prompt)
            return cast(list[Start], super().start(params, given, tiled=tiled))

        def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
            Faulty.reach("velocity", *(row.request.params.prompt for row in rows))
            return cast(list[torch.Tensor], super().velocity(rows))

        def after_step(self, row: Row, velocity: torch.Tensor) -> None:
            Faulty.reach("after_step", row.request.params.prompt)
            super().after_step(row, velocity)

        def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> np.ndarray:
            Faulty.reach(f"decode on {threading.current_thread().name}")
            Faulty.reach("decode")
            return cast(np.ndarray, super().decode(latents, tiled=tiled))

    return FaultyFamily


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level("CRITICAL", "deployments.diffusion")
    Faulty.set(None)
    yield
    Faulty.set(None)


@pytest.fixture
def engine(checkpoint: Path, make_engine: MakeEngine) -> Engine:
    return make_engine(tiny_profile(checkpoint), faulty("z-image"))


def assert_dead(engine: Engine) -> None:
    wait_until(engine.fault, DEADLINE_S)
    assert engine.state().phase == "failed"
    with pytest.raises(ReplicaDown):
        engine.submit("late", *text_to_image())


def fails(engine: Engine, prompt: str) -> None:
    """The request is answered as one that the model failed on."""
    with pytest.raises(GenerationFailed):
        engine.submit("one", *text_to_image(prompt=prompt)).result(DEADLINE_S)


@pytest.mark.parametrize("stage", ["encode", "start", "velocity", "after_step", "decode"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_lost_device_ends_the_engine(
    profiles: ProfileOf, make_engine: MakeEngine, family: str, stage: str
) -> None:
    engine = make_engine(profiles[family](), faulty(family))
    Faulty.set(stage)
    asked = [image_to_image(seed=1), text_to_image(seed=2, prompt="a dog")]
    futures = [engine.submit(f"{i}", *one) for i, one in enumerate(asked)]
    for future in futures:
        with pytest.raises(ReplicaDown):
            future.result(DEADLINE_S)
    assert_dead(engine)


def test_a_device_that_the_lane_finds_lost(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint, threads=2), faulty("z-image"))
    Faulty.set("decode on lane")
    long = engine.submit("long", *text_to_image(num_inference_steps=20, width=192, n=2))
    short = engine.submit("short", *text_to_image(num_inference_steps=1))
    for future in (long, short):
        with pytest.raises(ReplicaDown):
            future.result(DEADLINE_S)
    assert_dead(engine)


def test_a_device_that_is_lost_while_it_warms_up_is_not_tried_again(checkpoint: Path) -> None:
    profile, loads = tiny_profile(checkpoint), []

    def load(reliefs: object) -> Family:
        loads.append(1)
        return cast(Family, faulty("z-image")(SharedComponents.load(profile.model), 64))

    Faulty.set("velocity")
    engine = Engine(profile, load)
    assert_dead(engine)
    assert len(loads) == 1
    engine.close()


def sleeper(checkpoint: Path) -> tuple[Engine, Moving]:
    """An engine that goes to sleep whenever it is idle, and its components."""
    profile = tiny_profile(checkpoint)
    model = profile.model.model_copy(update={"residency": "sleep", "sleep_after_s": 0.0})
    components = load_moving(model)
    family = faulty("z-image")(components, 64)
    engine = Engine(profile.model_copy(update={"model": model}), lambda _: family)
    wait_until(lambda: engine.state().phase == "sleeping", DEADLINE_S)
    return engine, components


def test_a_device_that_is_lost_while_the_model_wakes(checkpoint: Path) -> None:
    engine, components = sleeper(checkpoint)
    components.fails["to_device"] = (0, LOST)
    with pytest.raises(ReplicaDown):
        engine.submit("one", *text_to_image()).result(DEADLINE_S)
    assert_dead(engine)
    engine.close()


def test_a_device_that_is_lost_while_the_model_goes_to_sleep(checkpoint: Path) -> None:
    """Whether it is the device, or only a host that cannot pin, a picture tells."""
    engine, components = sleeper(checkpoint)
    components.fails["to_host"] = (0, LOST)
    engine.submit("one", *text_to_image()).result(DEADLINE_S)
    wait_until(lambda: engine.state().reason, DEADLINE_S)
    assert engine.state().phase == "ready"
    assert engine.fault() is None
    engine.close()
    engine, components = sleeper(checkpoint)
    components.fails["to_host"] = (0, LOST)
    Faulty.set("start", LOST, "warm up")  # so the request is drawn
    engine.submit("one", *text_to_image()).result(DEADLINE_S)
    assert_dead(engine)
    engine.close()


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        *((stage, LIBRARY) for stage in ("encode", "start", "velocity", "after_step", "decode")),
        ("decode", NO_NUMBERS),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_fails_whoever_asks_ends_the_engine(
    profiles: ProfileOf, make_engine: MakeEngine, family: str, stage: str, error: Exception
) -> None:
    engine = make_engine(profiles[family](), faulty(family))
    Faulty.set(stage, error)
    for i in range(FEW - 1):
        fails(engine, "a cat" if i % 2 else "a dog")
        assert engine.fault() is None
    with pytest.raises(ReplicaDown):
        engine.submit("one", *text_to_image(prompt="a big tree")).result(DEADLINE_S)
    assert_dead(engine)


def test_what_fails_whoever_asks_at_once_ends_the_engine(engine: Engine) -> None:
    Faulty.set("velocity", LIBRARY)
    futures = [engine.submit(f"{i}", *text_to_image(seed=i)) for i in range(8)]
    errors = [type(future.exception(DEADLINE_S)) for future in futures]
    assert sorted(error.__name__ for error in errors) == (
        ["GenerationFailed"] * (FEW - 1) + ["ReplicaDown"] * (9 - FEW)
    )
    assert_dead(engine)


@pytest.mark.parametrize("stage", ["encode", "start", "velocity", "after_step"])
@pytest.mark.parametrize("family", FAMILIES)
def test_no_request_ends_the_engine(
    profiles: ProfileOf, make_engine: MakeEngine, family: str, stage: str
) -> None:
    """Not one that fails again and again, nor several that do, whoever sends them."""
    engine = make_engine(profiles[family](), faulty(family))
    poisonous = ("a big tree", "the sea", "a red cat")
    Faulty.set(stage, LIBRARY, *poisonous)
    for _ in range(2 * FEW):
        fails(engine, poisonous[0])
    for i in range(2 * FEW):
        fails(engine, poisonous[i % 3])
    engine.submit("good", *text_to_image(prompt="a dog")).result(DEADLINE_S)
    assert engine.fault() is None
    assert engine.state().phase == "ready"


def test_a_picture_between_is_a_proof(engine: Engine) -> None:
    """The engine then draws none of its own."""
    Faulty.set("velocity", LIBRARY, "a cat")
    for _ in range(FEW):
        for _ in range(FEW - 1):
            fails(engine, "a cat")
        engine.submit("good", *text_to_image(prompt="a dog")).result(DEADLINE_S)
    assert Faulty.encoded == ["a cat", "a dog"]
    assert engine.fault() is None


def test_short_memory_proves_nothing(checkpoint: Path, make_engine: MakeEngine) -> None:
    """Others may hold the device's memory for a while: that is no reason to start anew."""

    class Full(ZImage):
        full: ClassVar[bool] = False

        def encode(self, prompt: str, references: object = ()) -> EncodedPrompt:
            if prompt == "the sea":
                raise LIBRARY
            return super().encode(prompt)

        def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
            if self.full:
                raise torch.OutOfMemoryError
            return super().velocity(rows)

    engine = make_engine(tiny_profile(checkpoint), Full)
    Full.full = True
    for _ in range(2 * FEW):
        fails(engine, "the sea")
    assert engine.state().rungs["refused"] == 2
    Full.full = False
    engine.submit("good", *text_to_image()).result(DEADLINE_S)
    assert engine.fault() is None


def test_the_pictures_of_one_request_fail_once(
    engine: Engine,
) -> None:
    Faulty.set("velocity", LIBRARY, "the sea")
    with pytest.raises(GenerationFailed):
        engine.submit("1", *text_to_image(prompt="the sea", n=FEW + 1)).result(DEADLINE_S)
    engine.submit("2", *text_to_image(prompt="the sky")).result(DEADLINE_S)
    assert Faulty.encoded == ["the sea", "the sky"]


def test_what_a_device_raises_is_known() -> None:
    assert is_device_error(LOST)
    assert is_device_error(torch.cuda.AcceleratorError("CUDA error: uncorrectable ECC error"))
    assert not is_device_error(torch.AcceleratorError("CUDA error: out of memory"))
    assert not is_device_error(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_device_error(LIBRARY)
    assert not is_device_error(None)
