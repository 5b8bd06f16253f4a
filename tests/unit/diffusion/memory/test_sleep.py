"""Sleep: what host memory does not take stays where it was, works, and is tried again later."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from deployments.diffusion.engine import admission
from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.engine.state import SERVING
from deployments.diffusion.families.load import FAMILIES
from deployments.diffusion.memory import trying
from deployments.diffusion.memory.residency import Residency
from deployments.diffusion.profile import DiffusionProfile
from deployments.errors import OutOfMemory
from tests.moving import Moving, load_moving
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import ProfileOf
from tests.unit.diffusion.requests import image_to_image

DEADLINE_S = 200
CANNOT_PIN = torch.AcceleratorError("CUDA error: operation not supported")
NO_ROOM = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
Sleeper = tuple[Engine, Moving]
MakeSleeper = Callable[..., Sleeper]


def sleepy(profile: DiffusionProfile) -> DiffusionProfile:
    model = profile.model.model_copy(update={"residency": "sleep", "sleep_after_s": 0.0})
    return profile.model_copy(update={"model": model})


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeSleeper]:
    """Engines that go to sleep whenever they are idle, with components whose moves fail."""
    monkeypatch.setattr(admission, "IDLE_BEAT_S", 0.02)
    engines: list[Engine] = []

    def make(profile: DiffusionProfile, **fails: tuple[int, Exception]) -> Sleeper:
        components = load_moving(profile.model)
        components.fails.update(fails)
        family = FAMILIES[profile.model.family](components, profile.engine.max_prompt_tokens)
        engines.append(Engine(sleepy(profile), lambda _: family))
        wait_until(lambda: engines[-1].state().phase in SERVING, DEADLINE_S)
        return engines[-1], components

    yield make
    for engine in engines:
        engine.close()


@pytest.mark.parametrize("error", [CANNOT_PIN, NO_ROOM, MemoryError()], ids=["pin", "room", "os"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_host_that_does_not_take_the_weights(
    profiles: ProfileOf, make: MakeSleeper, family: str, error: Exception
) -> None:
    profile = profiles[family]()
    engine, components = make(profile, to_host=(5, error))
    wait_until(lambda: engine.state().reason, DEADLINE_S)
    state = engine.state()
    assert state.phase == "ready"
    assert state.device_bytes == state.held_bytes
    assert "cannot sleep" in str(state.reason)
    tried = components.tried["to_host"]
    beats = [engine.state().idle_s]
    while len(beats) < 10:
        wait_until(lambda: engine.state().idle_s > beats[-1], DEADLINE_S)
        beats.append(engine.state().idle_s)
    assert components.tried["to_host"] == tried == 6
    awake = engine.submit("1", *image_to_image()).result(DEADLINE_S)
    other, _ = make(profile)
    wait_until(lambda: other.state().phase == "sleeping", DEADLINE_S)
    assert_same_picture(awake.pictures, other.submit("1", *image_to_image()).result(200).pictures)
    assert engine.fault() is None


def test_it_sleeps_once_the_host_has_room(
    checkpoint: Path, make: MakeSleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "QUIET_S", 0.3)
    engine, components = make(tiny_profile(checkpoint), to_host=(5, NO_ROOM))
    wait_until(lambda: components.tried.get("to_host") == 7, DEADLINE_S)  # the second try
    assert engine.state().phase == "ready"
    components.fails.clear()
    wait_until(lambda: engine.state().phase == "sleeping", DEADLINE_S)
    assert engine.state().reason is None
    assert engine.state().device_bytes == 0
    engine.submit("1", *image_to_image()).result(DEADLINE_S)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_move_that_fails_halfway_leaves_weights_behind(profiles: ProfileOf, family: str) -> None:
    """Whichever move it is, and after however many weights."""
    profile = profiles[family]()
    components = load_moving(profile.model)
    made = FAMILIES[family](components, profile.engine.max_prompt_tokens)
    residency = Residency(made)
    weights = list(components.tensors())
    moves: dict[str, tuple[str, Callable[[], object]]] = {
        "sleep": ("to_host", residency.sleep),
        "wake": ("to_device", residency.wake),
        "text encoder out": ("to_host", residency.text_encoder_out),
        "text encoder back": ("to_device", residency.text_encoder_back),
    }
    for direction, move in moves.values():
        for works in (0, 1, 7):
            before = [weight.data_ptr() for weight in weights]
            state = (residency.asleep, residency.device_bytes)
            components.tried.clear()
            components.fails[direction] = (works, torch.OutOfMemoryError("no room"))
            with pytest.raises((MemoryError, torch.OutOfMemoryError)):
                move()
            assert [weight.data_ptr() for weight in weights] == before
            assert (residency.asleep, residency.device_bytes) == state
        components.fails.clear()
        move()
        assert [weight.data_ptr() for weight in weights] != before


@pytest.mark.parametrize("family", FAMILIES)
def test_what_cannot_come_back_after_one_stage_comes_back_for_the_next(
    profiles: ProfileOf, family: str
) -> None:
    """And is not lost when that one is alone as well."""
    profile = profiles[family]()
    components = load_moving(profile.model)
    made = FAMILIES[family](components, profile.engine.max_prompt_tokens)
    residency = Residency(made)
    places = {id(weight): weight.data_ptr() for weight in components.tensors()}
    components.fails["to_device"] = (0, torch.OutOfMemoryError("no room"))
    with residency.alone("forward"):
        pass
    assert residency.asleep
    decoder = list(components.modules["vae"].parameters())
    asleep = {id(weight): weight.data_ptr() for weight in decoder}
    with pytest.raises(torch.OutOfMemoryError), residency.alone("decode"):
        raise AssertionError("its weights are not there")
    components.fails.clear()
    with residency.alone("decode"):
        assert all(weight.data_ptr() != asleep[id(weight)] for weight in decoder)
    assert not residency.asleep
    brought = {id(weight): weight.data_ptr() for weight in components.tensors()}
    assert all(brought[one] != places[one] for one in places)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_request_that_no_host_memory_can_help_is_refused(
    profiles: ProfileOf, make: MakeSleeper, family: str
) -> None:
    profile = profiles[family]()
    engine, components = make(profile, to_host=(0, CANNOT_PIN))
    asked = image_to_image()
    before = engine.submit("1", *asked).result(DEADLINE_S)
    decode, full = components.modules["vae"].decode, [True]

    def no_room(*given: object, **more: object) -> object:
        if full[0]:
            raise torch.OutOfMemoryError
        return decode(*given, **more)

    object.__setattr__(components.modules["vae"], "decode", no_room)
    refused = engine.submit("2", *asked).exception(DEADLINE_S)
    assert isinstance(refused, OutOfMemory)
    assert refused.code == "out_of_memory"
    full[0] = False
    after = engine.submit("3", *asked).result(DEADLINE_S)
    assert np.array_equal(before.pictures, after.pictures)
    assert engine.fault() is None
