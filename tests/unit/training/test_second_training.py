from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from training.forward import Layout, use_real_attention, velocity
from training.second.captions import caption_batch
from training.second.chunks import Ending
from training.second.data import BATCH, Data
from training.second.encode_latents import scene_from
from training.second.models import LATENT_CHANNELS, TEXT_LAYERS, TEXT_WIDTH, make_transformer
from training.second.reading import Examination, make_reader, reading_loss, shares_right
from training.second.scene import Scene
from training.second.scenes import sample_scene
from training.second.train_transformer import Layouts, Model, loss_of
from training.second.vocabulary import make_second_tokenizer
from training.train_transformer import initialise


def _part(path: Path) -> list[Scene]:
    """A part of random latents for random scenes, every size among them; returns its scenes."""
    rng = random.Random(0)
    groups: dict[tuple[int, int], list[Scene]] = defaultdict(list)
    while len(groups) < 5:
        scene = sample_scene(rng, held_out=False)
        groups[scene.width, scene.height].append(scene)
    records = [
        {
            "latents": torch.randn(len(scenes), LATENT_CHANNELS, height // 32, width // 32).half(),
            "scenes": [asdict(scene) for scene in scenes],
            "loose": torch.zeros(len(scenes), dtype=torch.bool),
        }
        for (width, height), scenes in groups.items()
    ]
    torch.save(records, path)
    return [scene for scenes in groups.values() for scene in scenes]


@pytest.mark.parametrize("captions", [64, 256])
def test_long_captions_are_read_as_by_the_library(captions: int) -> None:
    torch.manual_seed(0)
    library, ours = make_transformer(), make_transformer()
    initialise(library)
    with torch.no_grad():
        for weight in library.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    ours.load_state_dict(library.state_dict())
    use_real_attention(ours)
    latents, time = torch.randn(1, LATENT_CHANNELS, 16, 16), torch.tensor([0.4])
    features = torch.randn(1, captions, TEXT_WIDTH)
    known = torch.arange(captions)[None] < captions - 7
    layout = Layout(ours, 16, 16, captions)
    with torch.no_grad():
        expected = library(
            list(latents.unsqueeze(2)), time, [features[0][known[0]]], return_dict=False
        )[0]
        patches = velocity(
            ours, layout.patches(latents), time, features, known, layout.blank, layout.angles
        )
    assert torch.allclose(layout.latents(patches), torch.stack(expected).squeeze(2), atol=1e-4)


def test_scenes_survive_their_record(tmp_path: Path) -> None:
    scenes = _part(tmp_path / "part-000.pt")
    assert [scene_from(asdict(scene)) for scene in scenes] == scenes


def test_a_batch_gives_a_loss_and_gradients_everywhere(tmp_path: Path) -> None:
    _part(tmp_path / "part-000.pt")
    data = Data(0, tmp_path)
    model = Model(len(data.tokenizer))
    batch = data.batch()
    assert len(batch.clean) == BATCH[batch.tokens.shape[1]]
    with torch.compiler.set_stance("force_eager"):
        loss, error = loss_of(model, batch, Layouts(model.transformer))
    assert 0.5 < error < 5
    loss.backward()
    without = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert without == []


def test_the_reader_leaves_out_the_layer_that_is_never_read() -> None:
    assert len(make_reader(700).layers) == TEXT_LAYERS - 1


def test_the_reader_learns_from_its_questions() -> None:
    torch.manual_seed(0)
    rng = random.Random(0)
    tokenizer = make_second_tokenizer()
    model = Examination(len(tokenizer))
    scenes = [sample_scene(rng, held_out=False) for _ in range(8)]
    tokens, known = caption_batch(tokenizer, scenes, rng, 32)
    right = torch.zeros(8, 12, dtype=torch.long)
    loss = reading_loss(model(tokens, known), right)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.grad is not None:
                weight -= 0.05 * weight.grad
        after = model(tokens, known)
    assert reading_loss(after, right) < loss
    assert len(shares_right(after, right)) == 12


def test_a_run_ends_when_a_stop_file_lies_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)
    ending = Ending(tmp_path)
    assert not ending
    (tmp_path / "stop").touch()
    assert ending
