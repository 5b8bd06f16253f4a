"""Small random checkpoints of the real classes of SDXL and FLUX, made on the spot."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxPipeline,
    FluxTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from tests.schedules import DISCRETE
from tests.tiny_checkpoint import WORDS, chat_tokenizer, qwen_tokenizer

FLUX_SCHEDULERS = {
    "dev": FlowMatchEulerDiscreteScheduler(
        shift=3.0, use_dynamic_shifting=True, base_image_seq_len=16, max_image_seq_len=64
    ),
    "schnell": FlowMatchEulerDiscreteScheduler(shift=1.0),
}


def save_tiny_sdxl(folder: Path, scheduler: str = "base", seed: int = 0, **settings: Any) -> Path:
    """A random SDXL checkpoint: VAE factor 8, latents of 4 channels, 77 prompt tokens."""
    torch.manual_seed(seed)
    tokenizer = _clip_tokenizer()
    texts = CLIPTextConfig(**_clip_sizes(tokenizer), hidden_act="quick_gelu")
    texts_2 = CLIPTextConfig(**_clip_sizes(tokenizer), hidden_act="gelu", projection_dim=24)
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
        cross_attention_dim=2 * texts.hidden_size,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + texts_2.projection_dim,
        norm_num_groups=4,
    )
    pipeline = StableDiffusionXLPipeline(
        vae=_vae(latent_channels=4, scaling_factor=0.13025, force_upcast=True),
        text_encoder=CLIPTextModel(texts),
        text_encoder_2=CLIPTextModelWithProjection(texts_2),
        tokenizer=tokenizer,
        tokenizer_2=_clip_tokenizer(),
        unet=unet,
        scheduler=DISCRETE[scheduler](),
        **{"add_watermarker": False, **settings},
    )
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_flux(folder: Path, variant: str = "dev", seed: int = 0) -> Path:
    """A random FLUX.1 checkpoint: VAE factor 8, latents of 16 channels packed 2 x 2."""
    torch.manual_seed(seed)
    tokenizer = _clip_tokenizer()
    texts = CLIPTextConfig(**_clip_sizes(tokenizer), hidden_act="quick_gelu")
    pieces = [f"▁{word}" for word in WORDS]
    tokenizer_2 = T5Tokenizer(
        vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((p, -2.0) for p in pieces)],
        extra_ids=0,
        model_max_length=512,
    )
    text_encoder_2 = T5EncoderModel(
        T5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    )
    transformer = FluxTransformer2DModel(
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=texts.hidden_size,
        guidance_embeds=variant == "dev",
        axes_dims_rope=(4, 6, 6),
    )
    pipeline = FluxPipeline(
        vae=_vae(
            latent_channels=16,
            scaling_factor=0.3611,
            shift_factor=0.1159,
            force_upcast=True,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=CLIPTextModel(texts),
        text_encoder_2=text_encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        transformer=transformer,
        scheduler=FLUX_SCHEDULERS[variant],
    )
    pipeline.save_pretrained(folder)
    return folder


def _vae(**settings: Any) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 16, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        **settings,
    )


def _clip_tokenizer() -> CLIPTokenizer:
    """Every letter a token, so that long prompts pass 77."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pieces = ["<|startoftext|>", *letters, *(f"{c}</w>" for c in letters), "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], model_max_length=77
    )


def _clip_sizes(tokenizer: CLIPTokenizer) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 77,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def save_tiny_klein(folder: Path, distilled: bool = False, seed: int = 0) -> Path:
    """A random FLUX.2-klein checkpoint: latents of 4 x 4 channels at a factor of 16."""
    torch.manual_seed(seed)
    tokenizer = chat_tokenizer()
    text_encoder = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=30,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
        )
    )
    transformer = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * 16,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    vae = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 16, 16, 16),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
    )
    for matrix in transformer.parameters():
        matrix.data *= 2.0  # so that what is read beside a picture is seen in it
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2.0)
    pipeline = Flux2KleinPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        is_distilled=distilled,
    )
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_qwen_image(folder: Path, certain: bool = False, seed: int = 0) -> Path:
    """A random Qwen-Image checkpoint: latents of 4 channels at a factor of 8, packed 2 x 2.

    certain: whether its VAE all but knows a picture's latents, as one that is trained.
    """
    pipeline = QwenImagePipeline(**_qwen_image(seed, certain))
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_qwen_image_edit(folder: Path, pipeline: str = "Plus", seed: int = 0) -> Path:
    """A random Qwen-Image-Edit checkpoint, for several references, or with "" for one."""
    save_tiny_qwen_image(folder, certain=True, seed=seed)
    Qwen2VLImageProcessorPil().save_pretrained(folder / "processor")
    index = folder / "model_index.json"
    parts = json.loads(index.read_text()) | {
        "_class_name": f"QwenImageEdit{pipeline}Pipeline",
        "processor": ["transformers", "Qwen2VLProcessor"],
    }
    index.write_text(json.dumps(parts))
    return folder


def _qwen_image(seed: int, certain: bool) -> dict[str, Any]:
    torch.manual_seed(seed)
    tokenizer = qwen_tokenizer()
    ids = tokenizer.get_vocab()
    text_encoder = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": 16,
                "intermediate_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "max_position_embeddings": 4096,
                "bos_token_id": None,
                "eos_token_id": None,
                "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]},
            },
            vision_config={
                "depth": 2,
                "hidden_size": 16,
                "intermediate_size": 32,
                "num_heads": 2,
                "out_hidden_size": 16,
                "fullatt_block_indexes": [1],
            },
            image_token_id=ids["<|image_pad|>"],
            vision_start_token_id=ids["<|vision_start|>"],
            vision_end_token_id=ids["<|vision_end|>"],
        )
    )
    transformer = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(4, 6, 6),
    )
    vae = AutoencoderKLQwenImage(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 2, 2, 2],
        num_res_blocks=1,
        latents_mean=[-0.7571, 0.2109, 0.9113, 0.1075],
        latents_std=[2.8184, 1.4541, 0.8275, 1.2558],
    )
    for matrix in transformer.parameters():
        matrix.data *= 2.0  # so that what is read beside a picture is seen in it
    if certain:
        vae.quant_conv.bias.data[4:] -= 30
    return {
        "vae": vae,
        "text_encoder": text_encoder,
        "tokenizer": tokenizer,
        "transformer": transformer,
        "scheduler": FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, max_image_seq_len=8192, max_shift=0.9, shift_terminal=0.02
        ),
    }
