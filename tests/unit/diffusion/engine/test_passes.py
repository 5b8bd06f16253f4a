"""Large pictures in two passes: what each draws, what it costs, how it is told."""

from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.passes import enlarge
from deployments.diffusion.memory.plan import MIB, plan_memory
from deployments.diffusion.memory.profile_plan import computed, demand_of
from deployments.diffusion.memory.recovery import WARNINGS
from deployments.diffusion.request.params import Terms
from deployments.diffusion.request.work import Event, Preview, Progress
from deployments.errors import InvalidValue, Overloaded
from deployments.handover import Given
from serve.profiles import load_profile
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import KINDS, image_to_image, text_to_image

DEADLINE_S = 200


@pytest.fixture
def engine(checkpoint: Path, make_engine: MakeEngine) -> Engine:
    return make_engine(tiny_profile(checkpoint))


def test_a_large_picture_equals_two_requests(engine: Engine) -> None:
    """Drawn at the native size, then edited after it was enlarged, each picture with its seed."""
    large, _ = text_to_image(
        width=128, height=192, n=3, seed=5, hires=True, guidance_scale=2.0, num_inference_steps=6
    )
    others = [engine.submit(f"{i}", *kind(num_inference_steps=9)) for i, kind in enumerate(KINDS)]
    drawn = engine.submit("large", large).result(DEADLINE_S)
    for future in others:
        future.result(DEADLINE_S)

    for i in range(3):
        small = replace(large, width=64, height=96, n=1, seed=5 + i, hires=False)
        first = engine.submit("first", small).result(DEADLINE_S)
        edit = replace(small, width=128, height=192, strength=0.4)
        enlarged = Given(enlarge(first.pictures[0], 128, 192))
        second = engine.submit("second", edit, enlarged).result(DEADLINE_S)
        assert_same_picture(drawn.pictures[i], second.pictures[0])
        assert drawn.steps_executed == first.steps_executed + second.steps_executed == 6 + 3
    assert drawn.pictures.shape == (3, 192, 128, 3)
    stages = ("queue", "encode", "start", "steps", "enlarge", "hires_steps", "decode")
    assert tuple(drawn.timings_ms) == stages


def test_the_second_pass_is_planned_and_goes_through_the_vae_in_tiles_where_it_must(
    make_engine: MakeEngine,
) -> None:
    profile = load_profile("embedded")
    figures, demand = computed(profile), demand_of(profile)
    plans = (plan_memory(figures, demand, mib * MIB) for mib in range(620, 1000, 5))
    squeezed = next(made for made in plans if not made.reliefs)
    assert squeezed.complete
    assert squeezed.max_pixels <= squeezed.whole_pixels < squeezed.hires_pixels
    model = profile.model.model_copy(update={"memory_budget": squeezed.budget})
    engine = make_engine(profile.model_copy(update={"model": model}))
    small, _ = text_to_image(width=128, height=128, num_inference_steps=4)
    large = replace(small, width=512, height=512, hires=True)

    drawn = engine.submit("large", large).result(DEADLINE_S)

    in_tiles = {WARNINGS["tiled_encode"], WARNINGS["tiled_decode"]}
    assert in_tiles <= set(drawn.warnings)
    assert drawn.recovery == ()  # nothing ran out: it was planned so
    assert not in_tiles & set(engine.submit("small", small).result(DEADLINE_S).warnings)


def test_progress_and_previews_run_over_both_passes(engine: Engine) -> None:
    for n in (1, 3):
        events: list[Event] = []
        params, _ = text_to_image(width=128, height=128, n=n, hires=True, num_inference_steps=6)
        engine.submit("1", params, None, Terms(previews=2), events.append).result(DEADLINE_S)
        progress = [event for event in events if isinstance(event, Progress)]
        assert [one.step for one in progress] == list(range(1, 10))
        assert {one.steps for one in progress} == {9}
        previews = [event for event in events if isinstance(event, Preview)]
        assert sorted((one.picture, one.index) for one in previews) == [
            (picture, index) for picture in range(n) for index in range(2)
        ]


def test_both_passes_are_in_the_cost(engine: Engine) -> None:
    """Admission and the remaining work count what the second pass will take from the first on."""
    small, _ = text_to_image(num_inference_steps=6)
    large = replace(small, width=128, height=128, hires=True)
    left: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, Progress):
            left.append(event.eta_s)

    for params in (small, large):
        with pytest.raises(Overloaded) as refused:
            engine.submit("hopeless", params, None, Terms(deadline_s=1e-6))
        left.append(refused.value.retry_after_s)
    # tokens: 16 of 64x64 padded to 32, and 64 of 128x128, each with 32 of the caption
    assert left[1] / left[0] > 1.5
    left.clear()
    engine.submit("large", large, None, Terms(), note).result(DEADLINE_S)
    assert left[0] > left[-1]


def test_a_large_request_is_given_up_in_either_pass(engine: Engine) -> None:
    params, _ = text_to_image(width=128, height=128, n=2, hires=True, num_inference_steps=6)
    for step in (2, 8):

        def leave(event: Event, step: int = step) -> None:
            if isinstance(event, Progress) and event.step == step:
                engine.cancel("large")

        future = engine.submit("large", params, None, Terms(), leave)
        with pytest.raises(CancelledError):
            future.result(DEADLINE_S)
        assert engine.state().running == engine.state().decoding == 0


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"width": 64, "height": 64}, "does not enlarge"),
        ({"width": 64, "height": 192}, "does not enlarge the 64x96"),
        ({"width": 256, "height": 256}, "between 64 and 192"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(
    engine: Engine, fields: dict[str, int], why: str
) -> None:
    params, _ = text_to_image(hires=True, **fields)
    with pytest.raises(InvalidValue, match=why):
        engine.submit("1", params)


def test_it_is_refused_where_there_is_no_such_pass(engine: Engine) -> None:
    edit, given = image_to_image(width=128, height=128, hires=True)
    with pytest.raises(InvalidValue) as refused:
        engine.submit("1", edit, given)
    assert refused.value.param == "hires"
    small_only = engine.profile.model_copy(update={"hires": None})
    with pytest.raises(InvalidValue, match="draws no larger pictures"):
        replace(edit, strength=None).check(small_only)


def test_a_first_pass_that_is_ignored_is_warned_of(engine: Engine) -> None:
    params, _ = text_to_image(width=128, height=128, hires=True, num_inference_steps=1)
    drawn = engine.submit("1", params).result(DEADLINE_S)
    assert "the first is ignored" in drawn.warnings[0]


@pytest.mark.parametrize("name", ["embedded", "z-image-turbo-24gb"])
def test_every_recommended_large_size_enlarges(name: str) -> None:
    profile = load_profile(name)
    assert profile.hires is not None
    for width, height in profile.hires.sizes.recommended_pixels:
        text_to_image(width=width, height=height, hires=True)[0].check(profile)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 90), st.integers(1, 90))
def test_an_enlarged_picture_covers_the_size(
    columns: int, rows: int, width: int, height: int
) -> None:
    picture = np.full((rows, columns, 3), (3, 90, 250), np.uint8)
    assert (enlarge(picture, width, height) == (3, 90, 250)).all()
    assert enlarge(picture, width, height).shape == (height, width, 3)


def test_what_stands_over_is_cut_evenly() -> None:
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:, 2:6] = 255  # the middle square
    assert (enlarge(picture, 64, 64)[:, 4:-4] > 200).all()
