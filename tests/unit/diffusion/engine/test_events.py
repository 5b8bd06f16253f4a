"""Progress and previews: complete, in order, cheap, and like the picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.turns import in_turn
from deployments.diffusion.engine.preview import LatentProjection, preview_steps
from deployments.diffusion.families.load import load_family
from deployments.diffusion.request.params import Terms
from deployments.diffusion.request.work import Event, Preview, Progress
from deployments.errors import InvalidValue
from serve.profiles import load_profile
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import KINDS, text_to_image


@given(st.integers(1, 60), st.integers(0, 3))
def test_previews_are_spread_over_the_steps(steps: int, previews: int) -> None:
    after = preview_steps(steps, previews)
    assert len(after) <= previews
    assert list(after) == sorted(set(after))
    assert all(0 < step < steps for step in after)
    if steps > 2 * previews:
        assert len(after) == previews


def test_every_step_is_told_in_order(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint))
    for kind in KINDS:
        events: list[Event] = []
        params, fitted = kind(n=2, num_inference_steps=6)
        drawn = engine.submit("1", params, fitted, Terms(previews=2), events.append).result(60)
        progress = [event for event in events if isinstance(event, Progress)]
        assert [one.step for one in progress] == list(range(1, drawn.steps_executed + 1))
        assert progress[-1].steps == drawn.steps_executed
        assert all(one.position == 0 and one.eta_s > 0 for one in progress)
        previews = [event for event in events if isinstance(event, Preview)]
        assert sorted((one.picture, one.index) for one in previews) == [
            (picture, index) for picture in range(2) for index in range(2)
        ]
        assert all(one.pixels.shape == (8, 8, 3) for one in previews)


def test_waiting_requests_are_told_their_position(
    checkpoint: Path, make_engine: MakeEngine
) -> None:
    engine = make_engine(tiny_profile(checkpoint, max_running=1))
    told: list[list[Event]] = [[], [], []]
    futures = [
        engine.submit(f"{i}", *text_to_image(num_inference_steps=9), Terms(), told[i].append)
        for i in range(3)
    ]
    for future in futures:
        future.result(60)
    last = [event for event in told[2] if isinstance(event, Progress)]
    positions = [one.position for one in last]
    assert positions == sorted(positions, reverse=True)
    assert positions[0] >= 1
    assert last[0].steps is None


def test_too_many_previews_are_refused(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint))
    with pytest.raises(InvalidValue, match="partial_images"):
        engine.submit("1", *text_to_image(), Terms(previews=4))


def test_the_projection_shows_the_embedded_models_pictures() -> None:
    """On the VAE that ships, a preview is close to the picture made small, and nearly free."""
    family = load_family(load_profile("embedded"))
    with torch.inference_mode():
        projection = LatentProjection(family.latents_of)
        picture = np.full((256, 256, 3), (50, 90, 215), np.uint8)
        cv2.circle(picture, (128, 128), 70, (250, 215, 50), -1)
        latents = family.latents_of(picture)
        preview = projection(latents)
        ways = {"preview": lambda: projection(latents), "decode": lambda: family.decode(latents)}
        times = in_turn(ways, rounds=7)
    small = cv2.resize(picture, preview.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(preview.astype(int) - small.astype(int)).mean() < 25
    # The least of each: a pause of the machine's is neither's.
    assert min(times["preview"]) < 0.05 * min(times["decode"])
