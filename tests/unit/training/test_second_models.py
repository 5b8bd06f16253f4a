from __future__ import annotations

import torch
from torch.nn import functional

from training.second.losses import crisp_loss
from training.second.models import OUTER_CHANNELS, OUTER_LATENTS, make_vae
from training.second.narrow import narrowed
from training.second.train_inner import Inner, features, nested

WIDE = (16, 32, 64, 96, 96)


def test_narrowing_by_nothing_changes_nothing() -> None:
    torch.manual_seed(0)
    wide = make_vae(WIDE, OUTER_LATENTS)
    kept = narrowed(wide, WIDE)
    assert all(torch.equal(weight, kept[name]) for name, weight in wide.state_dict().items())


def test_a_channel_that_does_nothing_is_the_one_to_go() -> None:
    torch.manual_seed(0)
    wide = make_vae(WIDE, OUTER_LATENTS)
    narrow = make_vae(OUTER_CHANNELS, OUTER_LATENTS)
    narrow.load_state_dict(narrowed(wide, OUTER_CHANNELS))
    before = wide.decoder.conv_out.weight
    assert before.shape == narrow.decoder.conv_out.weight.shape
    assert torch.equal(before, narrow.decoder.conv_out.weight)


def test_the_inner_code_joins_the_outer_features() -> None:
    torch.manual_seed(0)
    outer = make_vae(OUTER_CHANNELS, OUTER_LATENTS).eval()
    whole = nested(outer)
    inner = Inner(whole)
    pictures = torch.randn(1, 3, 128, 128)
    seen, wanted = features(outer, pictures)
    drawn, posterior = inner(seen)
    assert drawn.shape == wanted.shape
    with torch.no_grad():
        assert torch.allclose(whole.encode(pictures).latent_dist.mean, posterior.mean, atol=1e-5)
        assert posterior.mean.shape[-1] == 128 // 32
        outer_picture = outer.decoder.up_blocks[0].upsamplers[0](wanted)
        whole_picture = whole.decoder.up_blocks[1].upsamplers[0](wanted)
    assert functional.mse_loss(outer_picture, whole_picture) == 0


def test_a_soft_edge_costs_more_than_an_even_shift_of_the_same_error() -> None:
    picture = torch.zeros(1, 3, 32, 32)
    picture[..., 16:] = 1
    soft = functional.avg_pool2d(functional.pad(picture, (2, 2, 2, 2), mode="replicate"), 5, 1)
    shift = (soft - picture).square().mean().sqrt()
    blurred, error = crisp_loss(soft, picture)
    shifted, same = crisp_loss(picture + shift, picture)
    assert torch.isclose(error, same)
    assert blurred > shifted
