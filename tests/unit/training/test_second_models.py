from __future__ import annotations

import torch
from torch.nn import functional

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
