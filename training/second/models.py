"""The architecture of the second model: the real classes, small."""

from __future__ import annotations

from diffusers import AutoencoderKL, ZImageTransformer2DModel
from transformers import Qwen3Config, Qwen3Model

LATENT_CHANNELS = 32
TEXT_WIDTH = 128
TEXT_LAYERS = 4  # the last one is never read
OUTER_CHANNELS = (16, 24, 48, 80, 96)  # of the stages that the first model's VAE gives
OUTER_LATENTS = 16
CHANNELS = (*OUTER_CHANNELS, 112)  # six stages halve the side five times: 32 pixels a latent


def make_vae(channels: tuple[int, ...] = CHANNELS, latents: int = LATENT_CHANNELS) -> AutoencoderKL:
    """An autoencoder. The stages of full, half and quarter size cost most, so they are narrow."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=latents,
        norm_num_groups=4,
        sample_size=512,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        force_upcast=False,
        scaling_factor=1.0,
        shift_factor=0.0,
    )


def make_text_encoder(vocabulary: int, layers: int = TEXT_LAYERS) -> Qwen3Model:
    """Z-Image reads the hidden states before the last layer, so only the others are trained."""
    return Qwen3Model(
        Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=TEXT_WIDTH,
            intermediate_size=3 * TEXT_WIDTH,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=TEXT_WIDTH // 4,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            use_cache=False,
        )
    )


def make_transformer() -> ZImageTransformer2DModel:
    return ZImageTransformer2DModel(
        in_channels=LATENT_CHANNELS,
        dim=224,
        n_layers=5,
        n_refiner_layers=1,
        n_heads=7,
        n_kv_heads=7,
        cap_feat_dim=TEXT_WIDTH,
        axes_dims=[8, 12, 12],
        axes_lens=[1024, 128, 128],
    )
