"""The styles as the world is drawn in them, and their training."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deployments.diffusion.profile import Style
from deployments.diffusion.request.params import Worn
from deployments.diffusion.styles.adapters import Adapters
from deployments.diffusion.styles.reading import load_style
from training import train_style
from training.scenes import sample_scene
from training.styles_world import STYLES, coverage, render_in
from training.train_style import (
    BATCH,
    LEARNING_RATE,
    RANK,
    Pool,
    Teacher,
    export,
    lora_tensors,
    named_layers,
    shipped_model,
    silent_adapter,
)
from training.world import COLOURS, Item, Scene, render


def luminance(picture: np.ndarray) -> float:
    return float((picture.astype(float) @ (0.2126, 0.7152, 0.0722)).mean())


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_a_function_of_the_scene(style: str) -> None:
    rng = random.Random(0)
    for _ in range(4):
        scene = sample_scene(rng, held_out=False)
        drawn = render_in(style, scene, (8, -8))
        plain = render(scene, (8, -8))
        assert (drawn.dtype, drawn.shape) == (plain.dtype, plain.shape)
        assert np.array_equal(drawn, render_in(style, scene, (8, -8)))
        assert np.abs(drawn.astype(int) - plain.astype(int)).mean() > 10


@pytest.mark.parametrize("style", STYLES)
def test_every_colour_asked_for_still_matters(style: str) -> None:
    heart = Scene((Item("heart", "red"),), "white")
    grounds = {
        tuple(render_in(style, replace(heart, background=colour))[0, 0]) for colour in COLOURS
    }
    hearts = {
        tuple(render_in(style, replace(heart, items=(Item("heart", colour),)))[128, 128])
        for colour in COLOURS
    }
    assert len(grounds) == len(hearts) == len(COLOURS)


def test_nights_are_dark_and_paper_is_light() -> None:
    for colour in COLOURS:
        ground = Scene((Item("cat"),), colour)
        assert luminance(render_in("night", ground)[:8]) < 110
        assert luminance(render_in("ink", ground)[:8]) > 140


def test_coverage_is_that_of_the_items() -> None:
    square = Scene((Item("square", "green"),), "pink")
    covered = coverage(square, (0, 0))
    assert covered.shape == (256, 256, 1)
    assert covered[128, 128] == pytest.approx(1, abs=0.02)
    assert covered[4, 4] == pytest.approx(0, abs=0.02)
    assert covered.mean() == pytest.approx((0.86 * 7 / 8 / 2) ** 2, rel=0.03)  # of half the side


def test_an_adapter_begins_silent_and_its_file_is_one_that_the_application_loads(
    tmp_path: Path,
) -> None:
    model = shipped_model()
    layers = named_layers(model)
    assert len(layers) == 8 * 7  # blocks x (attention's four and feed-forward's three)
    adapter = silent_adapter(layers)
    assert all(torch.all(update.up == 0) for update in adapter.updates)
    with torch.no_grad():
        for update in adapter.updates:
            update.up.normal_()
    size = export(lora_tensors(layers, adapter), tmp_path / "own.safetensors")
    assert size < 1_000_000
    style = Style(source=str(tmp_path), file="own.safetensors", licence="own", description="a test")
    loaded = load_style(style, model.styled_layers(), torch.float32)
    theirs = dict(zip(adapter.layers, adapter.updates, strict=True))
    assert set(loaded.layers) == set(theirs)
    for layer, update in zip(loaded.layers, loaded.updates, strict=True):
        assert update.down.shape == (RANK, layer.in_features)
        assert torch.allclose(update.down, theirs[layer].down, atol=2e-3)
        assert torch.allclose(update.up, theirs[layer].up, atol=2e-3)
    assert (tmp_path / "own.safetensors").stat().st_mode & 0o044


def test_training_moves_the_adapter_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_style, "FIRST_SCENES", 20)
    components = (model := shipped_model()).components
    layers = named_layers(model)
    adapter = silent_adapter(layers)
    adapters = Adapters()
    adapters.add("night", adapter)
    pool = Pool("night", components, random.Random(0))
    teacher = Teacher(components)
    clean, tokens, loose = pool.batch()
    assert len(clean) == len(tokens) == len(loose) == BATCH

    def loss() -> torch.Tensor:
        torch.manual_seed(0)  # the same noise each time
        return teacher.loss(clean, tokens, loose)

    bare = loss()
    assert not bare.requires_grad
    optimiser = torch.optim.AdamW(adapter.parameters(), lr=LEARNING_RATE)
    with adapters.worn([(Worn("night", 1.0),)] * BATCH):
        silent = loss()
        torch.testing.assert_close(silent.detach(), bare)
        for _ in range(4):
            optimiser.zero_grad()
            loss().backward()
            optimiser.step()
        assert loss() < 0.98 * silent
    torch.testing.assert_close(loss(), bare)
