"""What of a checkpoint's configs shows a relative that its family's loop would draw wrongly.

Each yields the part and what is said of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Configs = Mapping[str, Mapping[str, Any]]  # of each component, by its name


def z_image(configs: Configs) -> Iterator[tuple[str, str]]:
    transformer, encoder = configs["transformer"], configs["text_encoder"]
    if transformer.get("siglip_feat_dim") is not None:
        yield "transformer", "is Z-Image-Omni's, which reads pictures too"
    yield from _reads(configs, "transformer", "in_channels", configs["vae"]["latent_channels"])
    yield from _reads(configs, "transformer", "cap_feat_dim", encoder["hidden_size"])


def sdxl(configs: Configs) -> Iterator[tuple[str, str]]:
    unet, second = configs["unet"], configs["text_encoder_2"]
    known = {
        9: "is an inpainting UNet, which reads a mask",
        8: "is InstructPix2Pix's, which reads a picture",
    }
    latents = configs["vae"]["latent_channels"]
    yield from _reads(configs, "unet", "in_channels", latents, known)
    if unet.get("time_cond_proj_dim") is not None:
        yield "unet", "has distilled guidance (an LCM), which is not read here"
    if unet.get("addition_embed_type") != "text_time":
        yield "unet", "is not SDXL's: it reads no sizes (addition_embed_type is not text_time)"
    if configs["vae"].get("shift_factor"):
        yield "vae", "has a shift_factor, which no VAE of SDXL has"
    states = configs["text_encoder"]["hidden_size"] + second["hidden_size"]
    yield from _reads(configs, "unet", "cross_attention_dim", states)
    summary = 6 * unet["addition_time_embed_dim"] + second["projection_dim"]
    yield from _reads(configs, "unet", "projection_class_embeddings_input_dim", summary)


def flux(configs: Configs) -> Iterator[tuple[str, str]]:
    known = {
        384: "is FLUX.1-Fill's, which reads a picture and a mask",
        128: "is FLUX.1-Depth's or -Canny's, which reads a control picture",
    }
    packed = 4 * configs["vae"]["latent_channels"]  # 2 x 2 latents to a token
    yield from _reads(configs, "transformer", "in_channels", packed, known)
    states = configs["text_encoder_2"]["d_model"]
    yield from _reads(configs, "transformer", "joint_attention_dim", states)
    summary = configs["text_encoder"]["hidden_size"]
    yield from _reads(configs, "transformer", "pooled_projection_dim", summary)


def flux2_klein(configs: Configs) -> Iterator[tuple[str, str]]:
    encoder = configs["text_encoder"]
    if configs["transformer"].get("guidance_embeds"):
        yield "transformer", "is FLUX.2-dev's, which is told its guidance"
    packed = 4 * configs["vae"]["latent_channels"]  # 2 x 2 latents to a token
    yield from _reads(configs, "transformer", "in_channels", packed)
    states = 3 * encoder["hidden_size"]  # of three layers, side by side
    yield from _reads(configs, "transformer", "joint_attention_dim", states)
    if encoder["num_hidden_layers"] < 28:
        yield "text_encoder", "has fewer than the 28 layers whose states FLUX.2-klein reads"


def qwen_image(configs: Configs) -> Iterator[tuple[str, str]]:
    transformer, vae = configs["transformer"], configs["vae"]
    if transformer.get("use_layer3d_rope") or transformer.get("use_additional_t_cond"):
        yield "transformer", "is Qwen-Image-Layered's, which draws several layers"
    if transformer.get("guidance_embeds"):
        yield "transformer", "is told its guidance, as no published Qwen-Image is"
    if vae.get("input_channels", 3) != 3:
        yield "vae", "reads pictures with transparency, as Qwen-Image-Layered's"
    for entry in ("latents_mean", "latents_std"):
        if len(vae[entry]) != vae["z_dim"]:
            yield "vae", f"has {len(vae[entry])} {entry} for {vae['z_dim']} channels"
    packed = 4 * vae["z_dim"]  # 2 x 2 latents to a token
    yield from _reads(configs, "transformer", "in_channels", packed)
    states = configs["text_encoder"]["hidden_size"]
    yield from _reads(configs, "transformer", "joint_attention_dim", states)


def _reads(
    configs: Configs, part: str, entry: str, given: int, known: Mapping[int, str] | None = None
) -> Iterator[tuple[str, str]]:
    """A misfit where the part reads something else than the parts before it give it."""
    wanted = configs[part][entry]
    if wanted in (known or {}):
        yield part, (known or {})[wanted]
    elif wanted != given:
        yield part, f"does not fit the other parts: its {entry} is {wanted}, they give it {given}"
