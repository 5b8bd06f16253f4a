"""Compiled modules draw what the written ones draw; what cannot be compiled is refused."""

import gc
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from deployments.diffusion.engine import admission
from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.load import load_family
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request.params import GenerationParams
from deployments.diffusion.weights.components import ModelUnavailable
from serve.profiles import load_profile
from tests.polling import wait_until
from tests.tiny_checkpoint import save_tiny_checkpoint, tiny_profile
from tests.unit.diffusion.conftest import ProfileOf

READY_WITHIN_S = 400.0  # a compiler runs


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> DiffusionProfile:
    return tiny_profile(save_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), channels=(8, 8)))


def compiled(profile: DiffusionProfile, max_running: int = 1) -> DiffusionProfile:
    """max_running: with one row there are fewer variants."""
    model = profile.model.model_copy(update={"compile": True})
    engine = profile.engine.model_copy(update={"max_running": max_running})
    return profile.model_copy(update={"model": model, "engine": engine})


def test_a_picture_is_the_same_to_a_grey_level(profile: DiffusionProfile) -> None:
    params = GenerationParams("a red cat", 64, 64, 2, seed=3)
    pictures = []
    for one in (profile, compiled(profile)):
        engine = Engine(one, lambda reliefs, one=one: load_family(one, reliefs))
        try:
            engine.wait_until_ready(READY_WITHIN_S)
            pictures.append(engine.submit("one", params).result(60).pictures[0].astype(int))
            assert engine.held_twice_bytes() == 0  # what a compiler keeps has no storage
        finally:
            engine.close()
            gc.collect()

    assert np.ptp(pictures[0]) > 10
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


@pytest.mark.timeout(900)
@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_families_whose_rows_share_by_size(
    profiles: ProfileOf, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Warmed up for rows together, with weights that come and go, from sleep, in two passes."""
    monkeypatch.setattr(admission, "IDLE_BEAT_S", 0.02)
    profile = profiles[family](embedding_cache_bytes=0)
    sleepy = {"residency": "sleep", "sleep_after_s": 0.0}
    profile = profile.model_copy(update={"model": profile.model.model_copy(update=sleepy)})
    large = GenerationParams("a red cat", 128, 128, 5, seed=3, n=2, hires=True)
    small = replace(large, width=96, height=64, hires=False)

    written, made = (
        out_of_sleep(one, [small, large]) for one in (profile, compiled(profile, max_running=2))
    )

    for ours, theirs in zip(made, written, strict=True):
        assert np.ptp(theirs) > 10
        assert np.abs(ours - theirs).max() <= 1


def out_of_sleep(
    profile: DiffusionProfile, asked: Sequence[GenerationParams]
) -> list[NDArray[np.int64]]:
    """What is drawn by an engine that sleeps before each request."""
    load = partial(load_family, profile)
    engine = Engine(profile, load, ("text_encoder_on_host", "fp8_storage"))
    pictures = []
    try:
        for one in asked:
            wait_until(lambda: engine.state().phase in ("sleeping", "failed"), READY_WITHIN_S)
            assert engine.state().phase == "sleeping", engine.state().reason
            pictures.append(engine.submit("one", one).result(60).pictures.astype(int))
    finally:
        engine.close()
    return pictures


def test_streamed_blocks_cannot_be_compiled(profile: DiffusionProfile) -> None:
    with pytest.raises(ModelUnavailable, match=r"model\.compile.*set it to false"):
        load_family(compiled(profile), ("streamed_blocks",))


def test_styles_and_compiled_blocks_do_not_go_together() -> None:
    told = load_profile("embedded").model_dump(mode="json")
    assert told["styles"]

    with pytest.raises(ValidationError, match=r"model\.compile.*styles"):
        DiffusionProfile.model_validate({**told, "model": {**told["model"], "compile": True}})


def test_profiles_that_hold_all_weights_are_compiled() -> None:
    assert load_profile("z-image-turbo-24gb").model.compile
    assert not load_profile("z-image-turbo-16gb").model.compile  # it streams
