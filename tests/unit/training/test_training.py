from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from training.forward import Layout, use_real_attention, velocity
from training.models import (
    CAPTION_TOKENS,
    LATENT_CHANNELS,
    TEXT_WIDTH,
    make_text_encoder,
    make_transformer,
)
from training.muon import Muon, orthogonalise
from training.session import Session, in_bfloat16
from training.train_text import QUESTIONS, answers, make_reader
from training.train_transformer import LOOSE_LIMIT, initialise, sigmas
from training.world import Item, Scene


@pytest.mark.parametrize(("height", "width"), [(16, 16), (20, 16)])
def test_training_forward_equals_the_library(height: int, width: int) -> None:
    torch.manual_seed(0)
    library, ours = make_transformer(), make_transformer()
    initialise(library)
    with torch.no_grad():
        for weight in library.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    ours.load_state_dict(library.state_dict())
    use_real_attention(ours)
    latents = torch.randn(2, LATENT_CHANNELS, height, width)
    time = torch.tensor([0.2, 0.7])
    captions = torch.randn(2, CAPTION_TOKENS, TEXT_WIDTH)
    lengths = (9, 21)
    known = torch.arange(CAPTION_TOKENS) < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        expected = library(
            [one[:, None] for one in latents],
            time,
            [caption[:length] for caption, length in zip(captions, lengths, strict=True)],
            return_dict=False,
        )[0]
        layout = Layout(ours, height, width)
        patches = layout.patches(latents)
        assert torch.equal(layout.latents(patches), latents)
        drawn = velocity(ours, patches, time, captions, known, layout.blank, layout.angles)
        got = layout.latents(drawn)
    assert torch.stack(expected).std() > 0.1
    torch.testing.assert_close(got, torch.stack(expected)[:, :, 0], rtol=1e-4, atol=1e-5)


def test_blocks_start_with_open_gates() -> None:
    transformer = make_transformer()
    initialise(transformer)
    modulation = transformer.layers[0].adaLN_modulation[0].bias
    scale, gate, _, _ = modulation.chunk(4)
    assert torch.all(scale == 0)
    assert torch.all(gate == 0.5)


def test_noise_levels_cover_the_schedule_and_spare_loose_pictures() -> None:
    torch.manual_seed(0)
    loose = torch.arange(64) % 4 == 0
    levels = sigmas(loose)
    assert (levels[~loose] == 1).float().mean() > 0.05
    assert levels[~loose].median() > 0.8
    assert levels.min() < 0.2
    assert levels[loose].max() <= LOOSE_LIMIT


@pytest.mark.parametrize("shape", [(3, 8, 20), (2, 20, 8)])
def test_orthogonalise_pushes_singular_values_towards_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.5
    assert values.max() < 1.3


def _problem() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    inputs = torch.randn(64, 6)
    return nn.Linear(6, 4, bias=False), inputs, inputs @ torch.randn(6, 4)


def test_a_session_learns_saves_and_goes_on(tmp_path: Path) -> None:
    model, inputs, wanted = _problem()
    session = Session(tmp_path, 10, model, [Muon(model.parameters(), lr=0.1)], decay=0.9)
    first = (model(inputs) - wanted).square().mean()
    for _ in range(120):
        session.advance((model(inputs) - wanted).square().mean())
    assert (model(inputs) - wanted).square().mean() < 0.1 * first
    session.save()

    other, _, _ = _problem()
    resumed = Session(tmp_path, 10, other, [Muon(other.parameters(), lr=0.1)], decay=0.9)
    assert resumed.step == 120
    assert resumed.elapsed >= session.before
    assert torch.equal(other.weight, model.weight)
    resumed.average.copy_to(other)
    assert not torch.equal(other.weight, model.weight)
    assert (other(inputs) - wanted).square().mean() < 0.1 * first


def test_a_worker_in_bfloat16_teaches_the_module(tmp_path: Path) -> None:
    model, inputs, wanted = _problem()
    worker = in_bfloat16(model)
    optimiser = Muon(model.parameters(), lr=0.1)
    session = Session(tmp_path, 10, model, [optimiser], decay=0.9, worker=worker)
    first = (model(inputs) - wanted).square().mean()
    for _ in range(120):
        session.advance((worker(inputs.bfloat16()).float() - wanted).square().mean())
    assert (model(inputs) - wanted).square().mean() < 0.1 * first
    assert model.weight.dtype == torch.float32
    assert torch.equal(worker.weight, model.weight.bfloat16())


def test_rates_warm_up_and_cool_down(tmp_path: Path) -> None:
    model, _, _ = _problem()
    optimiser = Muon(model.parameters(), lr=1.0)
    session = Session(tmp_path, 10, model, [optimiser], decay=0.9)
    session.set_rates()
    assert optimiser.param_groups[0]["lr"] < 0.05
    session.step, session.before = 1000, 0.5 * session.length
    session.set_rates()
    assert optimiser.param_groups[0]["lr"] == pytest.approx(1.0, abs=1e-3)
    session.before = 0.99 * session.length
    session.set_rates()
    assert 0 < optimiser.param_groups[0]["lr"] < 0.05
    session.before = session.length
    assert session.finished


def test_answers_say_what_the_scene_holds() -> None:
    alone = Scene((Item("cat"),), "blue", "small", "top left")
    pair = Scene((Item("star", "red"), Item("dog")), "white", relation="below")

    def told(scene: Scene) -> list[str]:
        indices = answers(scene)
        return [options[i] for options, i in zip(QUESTIONS.values(), indices, strict=True)]

    assert told(alone) == ["cat", "", "", "", "blue", "small", "top left", ""]
    assert told(pair) == ["star", "red", "dog", "", "white", "medium", "centre", "below"]


def test_reader_is_the_part_of_the_text_encoder_that_the_pipeline_reads() -> None:
    torch.manual_seed(0)
    whole, reader = make_text_encoder(50), make_reader(50)
    missing = whole.load_state_dict(reader.state_dict(), strict=False)
    assert not missing.unexpected_keys
    tokens = torch.randint(0, 50, (2, 9))
    with torch.no_grad():
        expected = whole(input_ids=tokens, output_hidden_states=True).hidden_states[-2]
        got = reader(input_ids=tokens).last_hidden_state
    torch.testing.assert_close(got, expected)
