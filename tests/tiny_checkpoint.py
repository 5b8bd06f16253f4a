"""Small random checkpoints of Z-Image's real classes, made on the spot."""

from pathlib import Path
from string import ascii_lowercase

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

from deployments.diffusion.profile import DiffusionProfile

WORDS = (
    *("a", "red", "green", "blue", "big", "small", "cat", "dog", "house", "tree", "sky", "sea"),
    *("on", "under", "beside", "the", "and", "with"),
)
CHAT = "{% for m in messages %}[user] {{ m['content'] }} [end]{% endfor %} [assistant]"
SPECIAL = ["[pad]", "[unk]", "[user]", "[end]", "[assistant]"]


def chat_tokenizer(*, spells: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer with a chat template. spells: as of `save_tiny_checkpoint`."""
    entries = [*SPECIAL, *(ascii_lowercase if spells else WORDS), ",", "."]
    words = {word: i for i, word in enumerate(entries)}
    whole = models.WordLevel(words, unk_token="[unk]")
    core = Tokenizer(models.BPE(words, []) if spells else whole)
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[pad]",
        unk_token=None if spells else "[unk]",
        additional_special_tokens=SPECIAL[2:],
        chat_template=CHAT,
        model_max_length=512,
    )


def qwen_tokenizer() -> PreTrainedTokenizerFast:
    """Of Qwen-Image's own tokens, with a few words; it counts those of its templates as Qwen's."""
    marks = ["im_start", "im_end", "vision_start", "vision_end", "image_pad", "endoftext"]
    special = [f"<|{mark}|>" for mark in marks]
    words = [*WORDS, *(f" {word}" for word in WORDS), "[unk]", "\n", ",", "."]
    entries = {entry: i for i, entry in enumerate([*special, *words])}
    core = Tokenizer(models.WordLevel(entries, unk_token="[unk]"))
    core.pre_tokenizer = pre_tokenizers.Split(
        Regex(r"'s|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s"), "isolated"
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<|endoftext|>",
        unk_token="[unk]",
        additional_special_tokens=special[:-1],
    )


def save_tiny_checkpoint(
    folder: Path,
    seed: int = 0,
    channels: tuple[int, ...] = (8, 16, 16, 16),
    *,
    spells: bool = False,
) -> Path:
    """A random Z-Image checkpoint: latents of 16 channels, 64 px and up.

    channels: of the VAE's levels; each but one doubles its factor, which is 8 with four of them.
    spells: whether its vocabulary is of letters, as larger models' spell any word in pieces.
    """
    torch.manual_seed(seed)
    tokenizer = chat_tokenizer(spells=spells)
    transformer = ZImageTransformer2DModel(
        in_channels=16,
        dim=64,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=32,
        axes_dims=[8, 12, 12],
        axes_lens=[1024, 64, 64],
    )
    for token in (transformer.x_pad_token, transformer.cap_pad_token):
        torch.nn.init.normal_(token, std=0.02)
    text_encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            max_position_embeddings=512,
        )
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=4,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
        force_upcast=False,
    )
    pipeline = ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=transformer,
    )
    pipeline.save_pretrained(folder)
    return folder


def tiny_profile(
    folder: Path, dtype: str = "float32", family: str = "z-image", **engine: int
) -> DiffusionProfile:
    """A profile that serves such a checkpoint at 64 to 192 px, with references if it reads any."""
    most = {"flux2-klein": 4, "qwen-image-edit": 3}.get(family)
    references = {"most": most, "max_pixels": 128 * 128} if most else None
    limits = {"token_budget": 4096, "max_running": 8, "max_waiting": 64, **engine}
    return DiffusionProfile.model_validate(
        {
            "name": "tiny",
            "model": {"source": str(folder), "family": family, "dtype": dtype, "device": "cpu"},
            "sizes": {
                "multiple": 16,
                "min_side": 64,
                "max_side": 192,
                "max_pixels": 192 * 192,
                "default": "64x64",
                "recommended": ["64x64", "64x96", "96x64"],
            },
            "hires": {
                "sizes": {
                    "multiple": 16,
                    "min_side": 64,
                    "max_side": 192,
                    "max_pixels": 192 * 192,
                    "default": "128x128",
                    "recommended": ["128x128", "128x192", "192x128"],
                },
                "strength": 0.4,
            },
            "references": references,
            "steps": {"default": 4, "max": 20, "quality": {"low": 2, "medium": 4, "high": 8}},
            "engine": limits,
        }
    )
