"""The layouts of LoRA files by trainer and model: the rows of the table in docs/models.md."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.unit.diffusion.styles.layouts import (
    A_B,
    BARE,
    CLIP,
    DOTS,
    FLUX_BLOCKS,
    FLUX_DIFFUSERS,
    FLUX_FINAL,
    FLUX_OTHERS,
    FLUX_REST,
    FLUX_XLABS,
    OLD,
    PEFT,
    SDXL_ATTENTIONS,
    SDXL_CONVOLUTIONS,
    Z_BLOCKS,
    Z_OTHERS,
    Layout,
    Tensors,
    both,
    dotted,
    flux_file,
    flux_kohya,
    flux_respelt,
    flux_xlabs,
    kohya,
    layers,
    named,
    of_layers,
    processors,
    sdxl_kohya,
    sgm,
    sgm_attentions,
    sgm_rest,
    spell,
    z_image_converted,
    z_image_fused,
)

NO_ALPHA: dict[str, Any] = {"alpha": None}

Write = Callable[[Any], Tensors]


def of(component: str, *contains: str) -> Callable[..., Write]:
    """Writes those layers of a component in a spelling."""

    def spelt(*spelling: Any, **how: Any) -> Write:
        return lambda family: spell(of_layers(family, component, *contains), *spelling, **how)

    return spelt


def clip(component: str, stem: Callable[[str], str], *ends: Any, **how: Any) -> Write:
    def write(family: Any) -> Tensors:
        pairs = {
            f"text_model.{name.removeprefix('text_model.')}": one
            for name, one in of_layers(family, component, *CLIP).items()
        }
        return spell(pairs, stem, *ends, **how)

    return write


def together(*writes: Write) -> Write:
    def write(family: Any) -> Tensors:
        tensors: Tensors = {}
        for one in writes:
            tensors |= one(family)
        return tensors

    return write


def flux(*shapes: Any, spelling: tuple[Any, ...], **how: Any) -> Write:
    every = {name: shape for one in shapes for name, shape in one.items()}
    return lambda family: flux_file(every, *spelling, **how)


def fused_z(family: Any) -> Tensors:
    """As the model's authors have it: qkv and out."""
    block = layers(family, "transformer")["layers.0.attention.to_q"]
    width = block.in_features
    made = torch.Generator().manual_seed(0)
    tensors: Tensors = {}
    for place in ("layers.0", "layers.1", "noise_refiner.0", "context_refiner.0"):
        for name, out in (("qkv", 3 * width), ("out", width)):
            stem = f"diffusion_model.{place}.attention.{name}"
            tensors[f"{stem}.lora_A.weight"] = torch.randn(4, width, generator=made)
            tensors[f"{stem}.lora_B.weight"] = torch.randn(out, 4, generator=made)
    return tensors


def twice_z(family: Any) -> Tensors:
    """Attention's matrices one by one, and the same once more as one."""
    each = of_layers(family, "transformer", ".layers.0.attention.to_q", ".layers.0.attention.to_k",
                     ".layers.0.attention.to_v")  # fmt: skip
    tensors = spell(each, lambda name: name.replace("to_", "to."), DOTS, None)
    down = torch.cat([down for down, _ in each.values()])
    up = torch.block_diag(*(up for _, up in each.values()))
    stem = "layers.0.attention.qkv"
    return tensors | {f"{stem}.lora.down.weight": down, f"{stem}.lora.up.weight": up}


def with_key(write: Write, key: str, tensor: Tensor) -> Write:
    return lambda family: write(family) | {key: tensor}


def sevens(*shape: int) -> Tensor:
    """Values that no weight of a tiny model has: audits of what is held twice see every tensor."""
    return torch.full(shape, 7.0)


def alone(key: str) -> Write:
    return lambda family: {key: torch.ones(4, 4)}


SDXL_UNET = of("unet", *SDXL_ATTENTIONS)
FLUX_TRANSFORMER = of("transformer", *FLUX_DIFFUSERS)
Z_TRANSFORMER = of("transformer", *Z_BLOCKS)
ATTENTION = ("attn1.to_", "attn2.to_")
SGM = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
Q = "layers.0.attention.to_q"
T5 = (".SelfAttention.", ".DenseReluDense.")
LOHA, OFT, WORD = "LoHa.*extract a LoRA", "OFT.*merge it", "a trained word.*save it without"

LAYOUTS = [
    Layout("z-image", "diffusers, ai-toolkit", f"transformer.{Q}.lora_A.weight",
           Z_TRANSFORMER(dotted("transformer."), A_B, None),
           named("transformer", "transformer.", alpha=None)),
    Layout("z-image", "peft", f"base_model.model.{Q}.lora_A.weight",
           Z_TRANSFORMER(dotted("base_model.model."), A_B, None),
           named("transformer", "base_model.model.", alpha=None)),
    Layout("z-image", "ComfyUI", f"diffusion_model.{Q}.lora_A.weight",
           Z_TRANSFORMER(dotted("diffusion_model."), A_B, None), z_image_converted),
    Layout("z-image", "ComfyUI, the authors' names",
           "diffusion_model.layers.0.attention.qkv.lora_A.weight",
           fused_z, z_image_fused, remark="attention.qkv in three, attention.out"),
    Layout("z-image", "kohya, musubi-tuner", f"lora_unet_{kohya('')(Q)}.lora_down.weight",
           Z_TRANSFORMER(kohya()), z_image_converted),
    Layout("z-image", "OneTrainer", f"transformer.{Q}.lora_down.weight",
           Z_TRANSFORMER(dotted("transformer.")), named("transformer", "transformer.")),
    Layout("z-image", "Anime-Z", "layers.0.attention.to.q.lora.down.weight", twice_z,
           z_image_converted, remark="and the same again as qkv"),
    Layout("z-image", "peft, all linear layers", "transformer.all_x_embedder.2-1.lora_A.weight",
           of("transformer", *Z_BLOCKS, *Z_OTHERS)(dotted("transformer."), A_B, None),
           named("transformer", "transformer.", alpha=None),
           remark="embedders and the final layer"),
    Layout("z-image", "OneTrainer", "lora_te_layers_0_self_attn_q_proj.lora_down.weight",
           together(Z_TRANSFORMER(kohya("lora_transformer_")),
                    of("text_encoder", "q_proj")(kohya("lora_te_"))),
           both(named("transformer", "lora_transformer_"), named("text_encoder", "lora_te_")),
           remark="with the text encoder"),
    Layout("z-image", "LyCORIS: LoHa", f"lycoris_{kohya('')(Q)}.hada_w1_a",
           alone("lycoris_layers_0_attention_to_q.hada_w1_a"), refused=LOHA),
    Layout("z-image", "made for Wan", "diffusion_model.blocks.0.self_attn.q.lora_A.weight",
           alone("diffusion_model.blocks.0.self_attn.q.lora_A.weight"), refused="one for Wan"),

    Layout("sdxl", "diffusers", "unet.…attn1.to_q.lora_A.weight",
           SDXL_UNET(dotted("unet."), A_B, None), named("unet", "unet.", alpha=None)),
    Layout("sdxl", "diffusers", "unet.…attn1.to_q.lora.down.weight",
           SDXL_UNET(dotted("unet."), DOTS, None), named("unet", "unet.", alpha=None)),
    Layout("sdxl", "diffusers before peft", "unet.…attn1.processor.to_q_lora.down.weight",
           of("unet", *ATTENTION)(processors, BARE, None), named("unet", "unet.", alpha=None)),
    Layout("sdxl", "peft", "base_model.model.…attn1.to_q.lora_A.default.weight",
           SDXL_UNET(dotted("base_model.model."), PEFT, None),
           named("unet", "base_model.model.", alpha=None)),
    Layout("sdxl", "kohya", f"{SGM}.lora_down.weight",
           lambda family: sgm(family, sgm_attentions()), sdxl_kohya),
    Layout("sdxl", "kohya LoCon, LyCORIS",
           "lora_unet_input_blocks_1_0_in_layers_2.lora_down.weight",
           lambda family: sgm(family, sgm_attentions() + sgm_rest()), sdxl_kohya,
           remark="convolutions, time embeddings, label_emb, conv_in, conv_out"),
    Layout("sdxl", "kohya, diffusers' names", "lora_unet_down_blocks_1_….lora_down.weight",
           SDXL_UNET(kohya()), sdxl_kohya),
    Layout("sdxl", "LCM, Hyper-SD, LyCORIS",
           "lora_unet_down_blocks_0_resnets_0_conv1.lora_down.weight",
           of("unet", *SDXL_ATTENTIONS, *SDXL_CONVOLUTIONS)(kohya()), named("unet", "lora_unet_"),
           remark="convolutions, time_emb_proj, what changes sizes"),
    Layout("sdxl", "peft, all linear layers", "unet.add_embedding.linear_1.lora_A.weight",
           of("unet", *SDXL_ATTENTIONS, "time_emb", "add_embedding")(dotted("unet."), A_B, None),
           named("unet", "unet.", alpha=None)),
    Layout("sdxl", "kohya", "lora_te1_…, lora_te2_…self_attn_q_proj.lora_down.weight",
           together(lambda family: sgm(family, sgm_attentions()),
                    clip("text_encoder", kohya("lora_te1_")),
                    clip("text_encoder_2", kohya("lora_te2_"))),
           both(sdxl_kohya, named("text_encoder", "lora_te1_"),
                named("text_encoder_2", "lora_te2_")), remark="with both text encoders"),
    Layout("sdxl", "kohya", "lora_te1_… alone", clip("text_encoder", kohya("lora_te1_")),
           named("text_encoder", "lora_te1_"), remark="a text encoder alone"),
    Layout("sdxl", "diffusers", "text_encoder.…self_attn.q_proj.lora_linear_layer.down.weight",
           together(SDXL_UNET(dotted("unet."), DOTS, None),
                    clip("text_encoder", dotted("text_encoder."), OLD, alpha=None)),
           both(named("unet", "unet.", alpha=None),
                named("text_encoder", "text_encoder.", alpha=None))),
    Layout("sdxl", "OneTrainer", "lora_te2_…, text_encoders.clip_g.transformer.…",
           clip("text_encoder_2", dotted("text_encoders.clip_g.transformer.")),
           named("text_encoder_2", "text_encoders.clip_g.transformer.")),
    Layout("sdxl", "LyCORIS: LoHa", f"{SGM}.hada_w1_a", alone(f"{SGM}.hada_w1_a"), refused=LOHA),
    Layout("sdxl", "LyCORIS: OFT, BOFT",
           f"{SGM}.oft_blocks", alone(f"{SGM}.oft_blocks"), refused=OFT),
    Layout("sdxl", "LyCORIS: (IA)³",
           f"{SGM}.on_input", alone(f"{SGM}.on_input"), refused="IA.*merge"),
    Layout("sdxl", "LyCORIS: GLoRA",
           f"{SGM}.a1.weight", alone(f"{SGM}.a1.weight"), refused="GLoRA"),
    Layout("sdxl", "LyCORIS: full", f"{SGM}.diff", alone(f"{SGM}.diff"), refused="whole change"),
    Layout("sdxl", "LyCORIS with train_norm", "lora_unet_input_blocks_4_1_norm.w_norm",
           with_key(SDXL_UNET(kohya()), "lora_unet_input_blocks_4_1_norm.w_norm", sevens(32)),
           refused="norms.*without train_norm"),
    Layout("sdxl", "kohya with a bundled embedding", "bundle_emb.word.string_to_param.*",
           with_key(SDXL_UNET(kohya()), "bundle_emb.word.string_to_param.*", sevens(2, 32)),
           refused=WORD),
    Layout("sdxl", "made for SD 1.5", "lora_unet_input_blocks_1_1_….lora_down.weight",
           alone("lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_down.weight"),
           refused="one for SD 1 or 2"),
    Layout("sdxl", "made for FLUX.1", "lora_unet_double_blocks_0_….lora_down.weight",
           alone("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"),
           refused="one for FLUX"),

    Layout("flux", "diffusers, ai-toolkit", "transformer.…attn.to_q.lora_A.weight",
           FLUX_TRANSFORMER(dotted("transformer."), A_B, None),
           named("transformer", "transformer.", alpha=None)),
    Layout("flux", "SimpleTuner, all", "transformer.x_embedder.lora_A.weight",
           of("transformer", *FLUX_DIFFUSERS, *FLUX_OTHERS)(dotted("transformer."), A_B, None),
           named("transformer", "transformer.", alpha=None),
           remark="embedders and the final layer"),
    Layout("flux", "kohya, fluxgym", "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight",
           flux(FLUX_BLOCKS, spelling=(kohya(),)), flux_kohya, remark="qkv and linear1 split"),
    Layout("flux", "kohya, fluxgym", "lora_te1_text_model_….lora_down.weight",
           together(flux(FLUX_BLOCKS, spelling=(kohya(),)),
                    clip("text_encoder", kohya("lora_te1_"))),
           both(flux_kohya, named("text_encoder", "lora_te1_")), remark="with CLIP"),
    Layout("flux", "kohya", "lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight",
           of("text_encoder_2", *T5)(kohya("lora_te3_")), named("text_encoder_2", "lora_te3_"),
           remark="T5"),
    Layout("flux", "kohya, embedders", "lora_unet_time_in_in_layer.lora_down.weight",
           flux(FLUX_BLOCKS, FLUX_REST, spelling=(kohya(),)), flux_kohya),
    Layout("flux", "kohya, the final layer",
           "lora_unet_final_layer_adaLN_modulation_1.lora_down.weight",
           flux(FLUX_BLOCKS, FLUX_FINAL, spelling=(kohya(),), **NO_ALPHA), flux_kohya,
           remark="shift and scale turned round"),
    Layout("flux", "ComfyUI", "diffusion_model.double_blocks.0.img_attn.qkv.lora_down.weight",
           flux(FLUX_BLOCKS, spelling=(dotted("diffusion_model."),)), flux_kohya),
    Layout("flux", "BFL", "double_blocks.0.img_attn.qkv.lora_A.weight",
           flux(FLUX_BLOCKS, FLUX_REST, spelling=(dotted(""), A_B), **NO_ALPHA),
           flux_respelt("", A_B)),
    Layout("flux", "BFL's peft", "base_model.model.double_blocks.0.img_attn.qkv.lora_A.weight",
           flux(FLUX_BLOCKS, spelling=(dotted("base_model.model."), A_B), **NO_ALPHA),
           flux_respelt("base_model.model.", A_B)),
    Layout("flux", "OneTrainer", "lora_transformer_transformer_blocks_0_attn_to_q.lora_down.weight",
           of("transformer", ".attn.")(kohya("lora_transformer_")), flux_kohya),
    Layout("flux", "kohya, diffusers' names", "lora_unet_transformer_blocks_0_….lora_down.weight",
           FLUX_TRANSFORMER(kohya()), named("transformer", "lora_unet_")),
    Layout("flux", "ComfyUI, diffusers' names",
           "diffusion_model.transformer_blocks.0.….lora_A.weight",
           FLUX_TRANSFORMER(dotted("diffusion_model."), A_B, None),
           named("transformer", "diffusion_model.", alpha=None)),
    Layout("flux", "XLabs", "double_blocks.0.processor.qkv_lora1.down.weight",
           flux(FLUX_XLABS, spelling=(dotted(""), BARE), **NO_ALPHA), flux_xlabs),
    Layout("flux", "diffusers, DreamBooth", "text_encoder.…self_attn.q_proj.lora_A.weight",
           together(FLUX_TRANSFORMER(dotted("transformer."), A_B, None),
                    clip("text_encoder", dotted("text_encoder."), A_B, **NO_ALPHA)),
           both(named("transformer", "transformer.", alpha=None),
                named("text_encoder", "text_encoder.", alpha=None)), remark="with CLIP"),
    Layout("flux", "BFL's control LoRA", "double_blocks.0.img_attn.norm.query_norm.scale",
           with_key(flux(FLUX_BLOCKS, spelling=(dotted(""), A_B), **NO_ALPHA),
                    "double_blocks.0.img_attn.norm.query_norm.scale", sevens(128)),
           refused="control LoRA"),
    Layout("flux", "LyCORIS: OFT", "lycoris_transformer_blocks_0_attn_to_q.oft_blocks",
           alone("lycoris_transformer_blocks_0_attn_to_q.oft_blocks"), refused=OFT),
    Layout("flux", "peft: VeRA", "base_model.model.transformer_blocks.0.attn.to_q.vera_lambda_b",
           alone("base_model.model.transformer_blocks.0.attn.to_q.vera_lambda_b"), refused="VeRA"),
    Layout("flux", "made for SDXL", "lora_unet_input_blocks_4_1_….lora_down.weight",
           alone(f"{SGM}.lora_down.weight"), refused="one for SDXL"),
    Layout("flux", "made for Qwen-Image", "transformer_blocks.0.img_mlp.net.2.lora_A.weight",
           alone("transformer_blocks.0.img_mlp.net.2.lora_A.weight"), refused="one for Qwen-Image"),
]  # fmt: skip
