"""Attention over rows that have places of their own: FLUX.2's and Qwen-Image's, which by themselves
know one table of positions for a whole batch.

Rows of any sizes and with any references share a forward so: each is padded to the longest, turned
by its own positions, and sees nothing of its padding. Either a mask hides that, or, where captions
are padded too, each row attends by itself: a mask in the middle would have it round otherwise than
alone, which guidance magnifies. Arithmetic and dtypes are those of diffusers' own processors.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from diffusers import Flux2Transformer2DModel
from diffusers.models.attention_dispatch import dispatch_attention_fn


class Places(NamedTuple):
    """Where the tokens of a batch's rows stand. cos, sin: float32 (B, L, 1, D), of each token's
    rotation; where diffusers turns by complex numbers, which round otherwise, sin is None and cos
    is complex64 (B, L, 1, D/2). seen: bool (B, 1, 1, L), False for padding; None where there is
    none. own: how many tokens of caption and of pictures each row has, where the rows attend one by
    one.
    """

    cos: torch.Tensor
    sin: torch.Tensor | None
    seen: torch.Tensor | None = None
    own: tuple[tuple[int, int], ...] | None = None


class DoubleStream:
    """What the double blocks attend with: caption and picture by matrices of their own."""

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        encoder_hidden_states_mask: object = None,  # of captions alone; `places` know all
        image_rotary_emb: object = None,
        places: Places | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        caption, picture = encoder_hidden_states, hidden_states
        read = (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)
        theirs = _heads((matrix(caption) for matrix in read), attn)
        ours = _heads((matrix(picture) for matrix in (attn.to_q, attn.to_k, attn.to_v)), attn)
        norms = ((attn.norm_added_q, attn.norm_q), (attn.norm_added_k, attn.norm_k))
        query, key = (
            torch.cat([norm_theirs(one), norm_ours(other)], 1)
            for (norm_theirs, norm_ours), one, other in zip(norms, theirs, ours, strict=False)
        )
        value = torch.cat([theirs[2], ours[2]], 1)
        length = caption.shape[1]
        attended = _attend(query, key, value, places, length)
        return (  # laid out as of a row alone: in bfloat16 matrices round by it
            attn.to_out[1](attn.to_out[0](attended[:, length:].contiguous())),
            attn.to_add_out(attended[:, :length].contiguous()),
        )


class SingleStream:
    """What the single blocks attend with: one matrix for attention and its parallel MLP."""

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        image_rotary_emb: object = None,
        places: Places | None = None,
    ) -> torch.Tensor:
        widths = [3 * attn.inner_dim, attn.mlp_hidden_dim * attn.mlp_mult_factor]
        attention, mlp = attn.to_qkv_mlp_proj(hidden_states).split(widths, -1)
        query, key, value = _heads(attention.chunk(3, -1), attn)
        attended = _attend(attn.norm_q(query), attn.norm_k(key), value, places, 0)
        out: torch.Tensor = attn.to_out(torch.cat([attended, attn.mlp_act_fn(mlp)], -1))
        return out


class Nowhere(torch.nn.Module):
    """What stands where Qwen-Image's transformer makes its one table of positions."""

    def forward(self, *_: object, **__: object) -> None:
        """Nothing: `places` say it."""


def use_places(transformer: Any) -> None:
    """Have a transformer of these families take `places` among its arguments for attention."""
    for block in transformer.transformer_blocks:
        block.attn.set_processor(DoubleStream())
    if isinstance(transformer, Flux2Transformer2DModel):
        for block in transformer.single_transformer_blocks:
            block.attn.set_processor(SingleStream())
    else:
        transformer.pos_embed = Nowhere()


def _heads(projected: Iterable[torch.Tensor], attn: Any) -> list[torch.Tensor]:
    """Each (B, L, heads * D) as (B, L, heads, D)."""
    head_dim = attn.inner_dim // attn.heads
    return [one.view(*one.shape[:-1], -1, head_dim) for one in projected]


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    places: Places | None,
    caption: int,
) -> torch.Tensor:
    """(B, L, heads * D), in the query's dtype. caption: its tokens, padding included."""
    assert places is not None
    query, key = _turned(query, places), _turned(key, places)
    if places.own is None:
        attended: torch.Tensor = dispatch_attention_fn(query, key, value, attn_mask=places.seen)
        return attended.flatten(2, 3).to(query.dtype)
    attended = torch.zeros_like(query)
    for row, (words, pictures) in enumerate(places.own):
        end = caption + pictures
        each = (
            torch.cat([one[row : row + 1, :words], one[row : row + 1, caption:end]], 1)
            for one in (query, key, value)
        )
        alone = dispatch_attention_fn(*each)
        attended[row, :words], attended[row, caption:end] = alone[0, :words], alone[0, words:]
    return attended.flatten(2, 3)


def _turned(values: torch.Tensor, places: Places) -> torch.Tensor:
    """(B, L, heads, D), each pair of neighbours turned by its angle, computed in float32."""
    if places.sin is None:
        pairs = torch.view_as_complex(values.float().reshape(*values.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * places.cos).flatten(-2).to(values.dtype)
    first, second = values.reshape(*values.shape[:-1], -1, 2).unbind(-1)
    across = torch.stack([-second, first], -1).flatten(-2)
    return (values.float() * places.cos + across.float() * places.sin).to(values.dtype)
