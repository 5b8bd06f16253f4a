"""Residencies: the same pictures from wherever the weights lie, and memory that is really free."""

from collections.abc import Callable, Collection
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.base import Family
from deployments.diffusion.families.load import FAMILIES, family_of, loaded_on_host
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.memory.residency import Residency
from deployments.diffusion.memory.residency import _shrink as shrink
from deployments.diffusion.profile import RELIEFS, ModelSource, Relief
from deployments.diffusion.request.params import Terms
from deployments.diffusion.request.request import Pass, Request, Row
from deployments.diffusion.weights.audit import live_storage_bytes, unique_storages
from deployments.diffusion.weights.components import SharedComponents
from tests.budget import Budget, OnSmallDevice
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import ProfileOf
from tests.unit.diffusion.requests import KINDS, image_to_image, text_to_image

DEADLINE_S = 200


def draw(engine: Engine) -> list[np.ndarray]:
    asked = [kind(prompt="a big dog", width=128) for kind in KINDS]
    return [engine.submit("one", *one).result(DEADLINE_S).pictures for one in asked]


def down_to(residency: Relief) -> Collection[Relief]:
    """It and all the milder ones."""
    return RELIEFS[1 : RELIEFS.index(residency) + 1]


def engine_on(checkpoint: Path, residency: Relief, budget: Budget) -> Engine:
    profile = tiny_profile(checkpoint, embedding_cache_bytes=0)

    def load(reliefs: Collection[Relief]) -> OnSmallDevice:
        return OnSmallDevice(SharedComponents.load(profile.model), 64, budget)

    engine = Engine(profile, load, down_to(residency))
    wait_until(lambda: engine.state().phase in ("ready", "failed"), DEADLINE_S)
    assert engine.state().phase == "ready", engine.state().reason
    return engine


def test_every_residency_draws_the_same(checkpoint: Path) -> None:
    pictures: dict[str, list[np.ndarray]] = {}
    device_bytes: list[int] = []
    forward_peaks: list[int] = []
    for residency in RELIEFS:
        budget = Budget()
        engine = engine_on(checkpoint, residency, budget)
        state = engine.state()
        assert state.residency == residency
        budget.peaks.clear()
        pictures[residency] = draw(engine)
        device_bytes.append(state.device_bytes)
        forward_peaks.append(budget.peaks["forward"])
        engine.close()
    for moved, still in (
        ("text_encoder_on_host", "tiled_decode"),
        ("streamed_blocks", "fp8_storage"),
    ):
        for ours, theirs in zip(pictures[moved], pictures[still], strict=True):
            assert_same_picture(ours, theirs)
    for ours, theirs in zip(pictures["fp8_storage"], pictures["tiled_decode"], strict=True):
        assert 0 < np.abs(ours.astype(int) - theirs).mean() < 3  # grey levels
    assert device_bytes[0] == device_bytes[1] > device_bytes[2] > device_bytes[3] > device_bytes[4]
    assert forward_peaks[1] > forward_peaks[2] > forward_peaks[3] > forward_peaks[4]


def test_the_text_encoder_comes_for_a_new_prompt_and_leaves(checkpoint: Path) -> None:
    budget = Budget()
    engine = engine_on(checkpoint, "text_encoder_on_host", budget)
    encoder = engine._loaded.family.components.modules["text_encoder"]
    size = sum(s.nbytes() for s in unique_storages(encoder.parameters()).values())
    state = engine.state()
    assert state.held_bytes - state.device_bytes == pytest.approx(size, rel=0.01)
    budget.peaks.clear()
    engine.submit("1", *text_to_image()).result(DEADLINE_S)
    assert budget.peaks["encode"] >= state.device_bytes + size
    assert budget.peaks["forward"] < state.device_bytes + size + 500_000
    engine.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_text_encoder_goes_out_and_comes_back(profiles: ProfileOf, family: str) -> None:
    profile = profiles[family]()
    made = family_of(profile, SharedComponents.load(profile.model))
    residency = Residency(made)
    residency.apply([])
    on_device = residency.device_bytes
    with torch.inference_mode():
        before = made.encode("a red cat").embedding.tokens
        hooks = hooks_of(made)
        assert residency.text_encoder_out()
        assert residency.device_bytes < on_device
        assert torch.equal(made.encode("a red cat").embedding.tokens, before)
        residency.text_encoder_back()
        assert (residency.device_bytes, hooks_of(made)) == (on_device, hooks)
        assert torch.equal(made.encode("a red cat").embedding.tokens, before)
        assert residency.text_encoder_out()


def test_what_the_plan_moved_out_stays_out(checkpoint: Path) -> None:
    residency = Residency(load(checkpoint))
    residency.apply(["text_encoder_on_host"])
    on_device = residency.device_bytes
    assert not residency.text_encoder_out()
    residency.text_encoder_back()
    assert residency.device_bytes == on_device


def hooks_of(family: Family) -> int:
    parts = (part for module in family.components.modules.values() for part in module.modules())
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in parts)


def test_a_block_that_fails_leaves_nothing_on_the_device(checkpoint: Path) -> None:
    family = load(checkpoint)
    residency = Residency(family)
    residency.apply(down_to("streamed_blocks"))
    with torch.inference_mode():
        family.velocity(rows(family))  # makes the tables of positions, which stay
    before = live_storage_bytes()
    transformer = family.components.modules["transformer"]
    block = transformer.get_submodule("layers.1")
    block.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError()))
    with pytest.raises(torch.OutOfMemoryError), torch.inference_mode():
        family.velocity(rows(family))
    assert live_storage_bytes() == before


def test_fp8_is_close_and_leaves_the_sensitive_layers_alone(checkpoint: Path) -> None:
    family = load(checkpoint)
    with torch.inference_mode():
        (exact,) = family.velocity(rows(family))
        Residency(family).apply(["fp8_storage"])
        (close,) = family.velocity(rows(family))
    assert (close - exact).norm() / exact.norm() < 0.03
    stored = {
        name
        for name, weight in family.components.modules["transformer"].named_parameters()
        if weight.dtype == torch.float8_e4m3fn
    }
    assert stored
    assert all(name.startswith("layers.") and "norm" not in name for name in stored)
    assert not any("adaLN" in name for name in stored)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_fp8_stays_within_the_range_of_its_dtype(dtype: torch.dtype) -> None:
    """Large activations on many small weights, as in the real models."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(4096, 64).requires_grad_(False)
    x = 100 + torch.randn(8, 4096)
    exact = layer(x)
    small = deepcopy(layer).to(dtype)
    shrink(small)

    assert small.weight.dtype == torch.float8_e4m3fn
    close = small(x.to(dtype)).float()
    assert (close - exact).norm() / exact.norm() < 0.05


def test_it_sleeps_when_idle_and_wakes_for_a_request(checkpoint: Path) -> None:
    budget = Budget()
    profile = tiny_profile(checkpoint, embedding_cache_bytes=0)
    source = profile.model.model_copy(update={"residency": "sleep", "sleep_after_s": 0.0})
    profile = profile.model_copy(update={"model": source})
    engine = Engine(profile, lambda _: OnSmallDevice(SharedComponents.load(source), 64, budget))
    wait_until(lambda: engine.state().phase == "sleeping", DEADLINE_S)
    state = engine.state()
    assert state.device_bytes == 0
    assert budget.held < 0.05 * state.held_bytes
    first = engine.submit("1", *image_to_image()).result(DEADLINE_S)
    wait_until(lambda: engine.state().phase == "sleeping", DEADLINE_S)
    second = engine.submit("2", *image_to_image()).result(DEADLINE_S)
    assert_same_picture(first.pictures, second.pictures)
    wait_until(lambda: engine.state().phase == "sleeping", DEADLINE_S)
    assert budget.held < 0.05 * state.held_bytes
    engine.close()


def test_what_will_not_stay_on_the_device_is_loaded_beside_it() -> None:
    assert loaded_on_host(ZImage.uses, ["tiled_decode"]) == ()
    assert loaded_on_host(ZImage.uses, ["text_encoder_on_host"]) == ("text_encoder",)
    assert loaded_on_host(ZImage.uses, ["fp8_storage"]) == ("text_encoder", "transformer")
    assert loaded_on_host(ZImage.uses, ["streamed_blocks"]) == ("transformer",)
    every = loaded_on_host(ZImage.uses, down_to("streamed_blocks"))
    assert every == ("text_encoder", "transformer")


def test_unloading_frees_everything(checkpoint: Path, make: Callable[[], Engine]) -> None:
    before = live_storage_bytes()
    engine = make()
    weights = engine.state().held_bytes
    engine.submit("1", *text_to_image()).result(DEADLINE_S)
    assert live_storage_bytes() >= before + weights
    engine.close()
    del engine
    wait_until(lambda: live_storage_bytes() <= before, DEADLINE_S, 0.1)


@pytest.fixture
def make(checkpoint: Path) -> Callable[[], Engine]:
    return lambda: engine_on(checkpoint, "resident", Budget())


def load(checkpoint: Path) -> ZImage:
    source = ModelSource(source=str(checkpoint), dtype="float32", device="cpu")
    return ZImage(SharedComponents.load(source), 64)


def rows(family: ZImage) -> list[Row]:
    with torch.inference_mode():
        params, _ = text_to_image()
        (start,) = family.start(params, None)
        embedding = family.encode(params.prompt).embedding
    passes = (Pass(params, "steps", family.work(params), params.num_inference_steps),)
    request = Request("1", params, None, Terms(), passes)
    return [
        Row(
            request=request,
            sigmas=start.sigmas,
            latents=start.latents,
            embedding=embedding,
            negative=None,
            inpainting=None,
            lengths=family.lengths(start, embedding, None),
            batch_key=family.batch_key(start),
            passes=passes,
        )
    ]
