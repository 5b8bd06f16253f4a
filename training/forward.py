"""The transformer's forward pass for one batch of equal sizes, as fast as a CPU allows.

The library takes lists of pictures and captions of any length and rotates with complex numbers.
In training all sizes of a batch are equal, so the same sum is done on whole tensors and with real
arithmetic; a test holds the two equal.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from diffusers import ZImageTransformer2DModel
from diffusers.models.attention_processor import Attention
from diffusers.models.transformers.transformer_z_image import ZImageTransformerBlock
from torch import Tensor
from torch.nn import functional

from training.models import CAPTION_TOKENS

PATCH = 2
PATCH_KEY = "2-1"


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of (batch, tokens, heads, width) by (tokens, 1, width / 2) angles."""
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class RealAttention:
    """Z-Image's attention with angles given as a pair (cos, sin)."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        freqs_cis: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        assert freqs_cis is not None
        query, key, value = (
            project(hidden_states).unflatten(-1, (attn.heads, -1))
            for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        query = _rotate(attn.norm_q(query), *freqs_cis)
        key = _rotate(attn.norm_k(key), *freqs_cis)
        mixed = functional.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        )
        out: Tensor = attn.to_out[0](mixed.transpose(1, 2).flatten(2))
        return out


def use_real_attention(transformer: ZImageTransformer2DModel) -> None:
    """Fit the transformer for `velocity`; the library's own forward works no more."""
    for module in transformer.modules():
        if isinstance(module, ZImageTransformerBlock):
            module.attention.processor = RealAttention()


@lru_cache(maxsize=16)
def _positions(rows: int, columns: int) -> tuple[Tensor, Tensor, int]:
    """Token coordinates of the picture and of the caption, and the picture's padding tokens."""
    start = torch.tensor([CAPTION_TOKENS + 1])
    grid = torch.meshgrid(start, torch.arange(rows), torch.arange(columns), indexing="ij")
    picture = torch.stack(grid, dim=-1).reshape(-1, 3)
    padding = -len(picture) % 32
    picture = torch.cat([picture, torch.zeros(padding, 3, dtype=torch.long)])
    caption = torch.zeros(CAPTION_TOKENS, 3, dtype=torch.long)
    caption[:, 0] = torch.arange(1, CAPTION_TOKENS + 1)
    return picture, caption, padding


def velocity(
    transformer: ZImageTransformer2DModel,
    latents: Tensor,
    time: Tensor,
    captions: Tensor,
    known: Tensor,
) -> Tensor:
    """What the library's forward returns, stacked: (batch, channels, height, width).

    `latents` has that shape too, `time` is (batch,) = 1 - sigma, `captions` are the text encoder's
    (batch, CAPTION_TOKENS, width) and `known` (batch, CAPTION_TOKENS) is false for padding.
    """
    batch, channels, height, width = latents.shape
    rows, columns = height // PATCH, width // PATCH
    picture_at, caption_at, padding = _positions(rows, columns)
    angles = transformer.rope_embedder(torch.cat([picture_at, caption_at]).to(latents.device))
    cos, sin = angles.real[:, None].contiguous(), angles.imag[:, None].contiguous()
    split = len(picture_at)

    condition = transformer.t_embedder(time * transformer.t_scale)
    patches = latents.view(batch, channels, rows, PATCH, columns, PATCH)
    patches = patches.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, -1)
    picture = transformer.all_x_embedder[PATCH_KEY](patches)
    if padding:
        blank = transformer.x_pad_token.expand(batch, padding, -1)
        picture = torch.cat([picture, blank], dim=1)
    for layer in transformer.noise_refiner:
        picture = layer(picture, None, (cos[:split], sin[:split]), condition)

    caption = transformer.cap_embedder(captions)
    caption = torch.where(known[..., None], caption, transformer.cap_pad_token)
    for layer in transformer.context_refiner:
        caption = layer(caption, None, (cos[split:], sin[split:]))

    both = torch.cat([picture, caption], dim=1)
    for layer in transformer.layers:
        both = layer(both, None, (cos, sin), condition)
    out: Tensor = transformer.all_final_layer[PATCH_KEY](both[:, : rows * columns], c=condition)
    out = out.view(batch, rows, columns, PATCH, PATCH, channels).permute(0, 5, 1, 3, 2, 4)
    return out.reshape(latents.shape)
