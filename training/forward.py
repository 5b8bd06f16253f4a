"""The transformer's forward pass for one batch of equal sizes, as fast as a CPU allows.

The library takes lists of pictures and captions of any length and rotates with complex numbers.
In training all sizes of a batch are equal, so the same sum is done on whole tensors and with real
arithmetic; a test holds the two equal.
"""

from __future__ import annotations

import torch
from diffusers import ZImageTransformer2DModel
from diffusers.models.attention_processor import Attention
from diffusers.models.transformers.transformer_z_image import ZImageTransformerBlock
from torch import Tensor

from training.models import CAPTION_TOKENS

PATCH = 2
PATCH_KEY = "2-1"


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of (batch, tokens, heads, width) by (tokens, 1, width / 2) angles."""
    even, odd = x[..., ::2], x[..., 1::2]
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.flatten(-2).to(x.dtype)


class RealAttention:
    """Z-Image's attention with angles given as a pair (cos, sin).

    Over a hundred tokens, two products and a softmax are faster than the fused kernel on a CPU.
    """

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
        query = _rotate(attn.norm_q(query), *freqs_cis).transpose(1, 2)
        key = _rotate(attn.norm_k(key), *freqs_cis).transpose(1, 2)
        weights = (query @ key.mT * query.shape[-1] ** -0.5).softmax(dim=-1)
        mixed = weights @ value.transpose(1, 2)
        out: Tensor = attn.to_out[0](mixed.transpose(1, 2).flatten(2))
        return out


def use_real_attention(transformer: ZImageTransformer2DModel) -> None:
    """Fit the transformer for `velocity`; the library's own forward works no more."""
    for module in transformer.modules():
        if isinstance(module, ZImageTransformerBlock):
            module.attention.processor = RealAttention()


class Layout:
    """Where the tokens of one picture size stand, with those that pad it to a multiple of 32.

    `captions` tokens follow them. angles: cos and sin, each (tokens + captions, 1, width / 2).
    blank: (tokens,), true for padding.
    """

    def __init__(
        self,
        transformer: ZImageTransformer2DModel,
        height: int,
        width: int,
        captions: int = CAPTION_TOKENS,
    ) -> None:
        self.rows, self.columns = height // PATCH, width // PATCH
        start = torch.tensor([captions + 1])
        grid = torch.meshgrid(
            start, torch.arange(self.rows), torch.arange(self.columns), indexing="ij"
        )
        picture = torch.stack(grid, dim=-1).reshape(-1, 3)
        self.padding = -len(picture) % 32
        self.blank = torch.arange(len(picture) + self.padding) >= len(picture)
        picture = torch.cat([picture, torch.zeros(self.padding, 3, dtype=torch.long)])
        caption = torch.zeros(captions, 3, dtype=torch.long)
        caption[:, 0] = torch.arange(1, captions + 1)
        angles = transformer.rope_embedder(torch.cat([picture, caption]))
        self.angles = (angles.real[:, None].contiguous(), angles.imag[:, None].contiguous())

    def patches(self, latents: Tensor) -> Tensor:
        """(batch, tokens, 4 x channels) of latents (batch, channels, height, width)."""
        batch, channels, _, _ = latents.shape
        split = latents.view(batch, channels, self.rows, PATCH, self.columns, PATCH)
        patches = split.permute(0, 2, 4, 3, 5, 1).reshape(batch, self.rows * self.columns, -1)
        return torch.nn.functional.pad(patches, (0, 0, 0, self.padding))

    def latents(self, patches: Tensor) -> Tensor:
        """The inverse of `patches`."""
        batch, _, width = patches.shape
        channels = width // PATCH**2
        split = patches[:, : self.rows * self.columns].reshape(
            batch, self.rows, self.columns, PATCH, PATCH, channels
        )
        return split.permute(0, 5, 1, 3, 2, 4).reshape(
            batch, channels, self.rows * PATCH, self.columns * PATCH
        )


def velocity(
    transformer: ZImageTransformer2DModel,
    patches: Tensor,
    time: Tensor,
    captions: Tensor,
    known: Tensor,
    blank: Tensor,
    angles: tuple[Tensor, Tensor],
) -> Tensor:
    """What the library's forward returns, as patches: (batch, tokens, 4 x channels).

    `patches`, `blank` and `angles` are a Layout's, `time` is (batch,) = 1 - sigma, `captions` are
    the text encoder's (batch, captions, width) and `known` (batch, captions) is false
    for padding. Sizes of equally many tokens share one compiled form.
    """
    cos, sin = angles
    split = len(blank)
    condition = transformer.t_embedder(time * transformer.t_scale)
    picture = transformer.all_x_embedder[PATCH_KEY](patches)
    picture = torch.where(blank[:, None], transformer.x_pad_token, picture)
    for layer in transformer.noise_refiner:
        picture = layer(picture, None, (cos[:split], sin[:split]), condition)

    caption = transformer.cap_embedder(captions)
    caption = torch.where(known[..., None], caption, transformer.cap_pad_token)
    for layer in transformer.context_refiner:
        caption = layer(caption, None, (cos[split:], sin[split:]))

    both = torch.cat([picture, caption], dim=1)
    for layer in transformer.layers:
        both = layer(both, None, (cos, sin), condition)
    out: Tensor = transformer.all_final_layer[PATCH_KEY](both[:, :split], c=condition)
    return out
