"""The device's time, of a device that is asked and goes on: what is learnt, when, and from what."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from deployments.diffusion.engine.clock import DeviceClock
from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.request.params import Terms
from deployments.diffusion.request.request import Row
from deployments.errors import Overloaded
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import text_to_image

DEADLINE_S = 200
TOKEN_S, PIXEL_S = 0.01, 1e-4  # of the device, which takes no time of anybody else


class Device:
    """Does what it is asked in its own time, one thing after the other, as a GPU does."""

    def __init__(self) -> None:
        self.asked_s = 0.0
        self.done_s = 0.0

    def ask(self, seconds: float) -> None:
        self.asked_s += seconds

    def wait(self) -> None:
        self.done_s = self.asked_s


class LateMark:
    """As torch.cuda.Event: past when the device has done what was asked before it."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.at_s = float("inf")

    def record(self) -> None:
        self.at_s = self.device.asked_s

    def query(self) -> bool:
        return self.device.done_s >= self.at_s

    def synchronize(self) -> None:
        self.device.done_s = max(self.device.done_s, self.at_s)

    def elapsed_time(self, end: "LateMark") -> float:
        assert self.query()
        assert end.query()
        return (end.at_s - self.at_s) * 1e3


class OnDevice(ZImage):
    """Every step and decode takes time of `device`; as on a GPU only a decode waits for it."""

    device: ClassVar[Device]

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        self.device.ask(TOKEN_S * max(row.tokens for row in rows) * len(rows))
        return super().velocity(rows)

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
        picture = super().decode(latents, tiled=tiled)
        self.device.ask(PIXEL_S * picture.shape[0] * picture.shape[1])
        self.device.wait()
        return picture


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def late(
    device: Device, checkpoint: Path, make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> Engine:
    """An engine on the device."""
    clock = DeviceClock(partial(LateMark, device))
    monkeypatch.setattr(DeviceClock, "of", lambda _: clock)
    OnDevice.device = device
    return make_engine(tiny_profile(checkpoint), OnDevice)


def test_what_is_asked_is_told_once_the_device_has_done_it(device: Device) -> None:
    clock, told = DeviceClock(partial(LateMark, device)), []
    for seconds in (0.5, 0.25):
        with clock.timing(told.append):
            device.ask(seconds)
    clock.collect()
    assert told == []
    device.done_s = 0.5
    clock.collect()
    assert told == [0.5]
    clock.wait()
    assert told == [0.5, 0.25]
    assert device.done_s == 0.75
    clock.wait()
    assert told == [0.5, 0.25]


def test_what_raises_is_not_told(device: Device) -> None:
    clock, told = DeviceClock(partial(LateMark, device)), []
    with suppress(MemoryError), clock.timing(told.append):
        device.ask(0.5)
        raise MemoryError
    with clock.timing(told.append):
        device.ask(0.25)
    clock.wait()
    assert told == [0.25]


def test_a_cpu_tells_at_once() -> None:
    clock, told = DeviceClock.of(torch.device("cpu")), []
    some = torch.ones(300, 300)
    with clock.timing(told.append):
        some @ some
    assert len(told) == 1
    assert 0 < told[0] < DEADLINE_S


def test_the_warm_up_learns_the_devices_time(late: Engine) -> None:
    """Not that of asking: a deadline that the device cannot meet is refused at once."""
    (params, given), tokens = text_to_image(num_inference_steps=20), 32 + 32
    needed_s = 20 * tokens * TOKEN_S + 64 * 64 * PIXEL_S
    with pytest.raises(Overloaded) as refused:
        late.submit("late", params, given, Terms(deadline_s=0.9 * needed_s))
    assert refused.value.code == "deadline_unreachable"
    late.submit("in time", params, given, Terms(deadline_s=DEADLINE_S)).result(DEADLINE_S)


def test_the_loop_learns_from_steps_that_it_does_not_wait_for(
    late: Engine, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And from decodes: here the device has become twice as slow since the warm-up."""
    monkeypatch.setattr("tests.unit.diffusion.engine.test_clock.TOKEN_S", 2 * TOKEN_S)
    monkeypatch.setattr("tests.unit.diffusion.engine.test_clock.PIXEL_S", 2 * PIXEL_S)
    before = device.asked_s
    for i in range(10):
        late.submit(f"{i}", *text_to_image(num_inference_steps=8)).result(DEADLINE_S)
    took_s = (device.asked_s - before) / 10
    request = late.submit("last", *text_to_image(num_inference_steps=8))
    request.result(DEADLINE_S)
    work = late._require_loaded().family.work(text_to_image(num_inference_steps=8)[0])
    assert late._admission.cost.seconds(work) == pytest.approx(took_s, rel=0.2)
    assert late.state().step_ms == pytest.approx(64 * TOKEN_S * 1e3, rel=0.1)
