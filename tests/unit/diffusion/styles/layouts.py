"""LoRA files in every layout that trainers write, made on the spot, and what they should do.

A layout is a way to write the same numbers. What they should do is told by diffusers' own
converters where it has one for such a file, else by the names, which are then diffusers' own.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from diffusers.loaders.lora_conversion_utils import (
    _convert_kohya_flux_lora_to_diffusers,
    _convert_non_diffusers_lora_to_diffusers,
    _convert_non_diffusers_z_image_lora_to_diffusers,
    _convert_xlabs_flux_lora_to_diffusers,
    _maybe_map_sgm_blocks_to_diffusers,
)
from diffusers.utils import convert_unet_state_dict_to_peft
from torch import Tensor, nn

RANK = 4
ALPHA = 2.0
PART = {"z-image": "transformer", "sdxl": "unet", "flux": "transformer"}

Tensors = dict[str, Tensor]
Pairs = dict[str, tuple[Tensor, Tensor]]
"""(down, up) by a layer's name: what is added is up @ down."""

Expected = Callable[[Any, Tensors], Pairs]
"""From a family and a file's tensors to what is added to which layers."""


class Layout(NamedTuple):
    """A row of the table. key: one of its keys. write: the file's tensors, of a family's layers.

    expected: what is added to which layers, of the same tensors. refused: what the refusal says.
    """

    family: str
    trainer: str
    key: str
    write: Callable[[Any], Tensors]
    expected: Expected | None = None
    refused: str | None = None
    remark: str = ""


# What is written ---------------------------------------------------------------------------------


def pair(module: nn.Module, seed: int, rank: int = RANK) -> tuple[Tensor, Tensor]:
    """Random matrices for a layer."""
    made = torch.Generator().manual_seed(seed)
    out, *inputs = module.weight.shape
    down = torch.randn(rank, *inputs, generator=made)
    return down, torch.randn(out, rank, *[1] * len(inputs[1:]), generator=made)


def matrices(shapes: Mapping[str, tuple[int, int]]) -> Pairs:
    """Random matrices by name, of layers with so many outputs and inputs."""
    made = torch.Generator().manual_seed(0)
    return {
        name: (torch.randn(RANK, inside, generator=made), torch.randn(out, RANK, generator=made))
        for name, (out, inside) in shapes.items()
    }


def spell(
    pairs: Pairs,
    stem: Callable[[str], str],
    ends: tuple[str, str] = ("lora_down.weight", "lora_up.weight"),
    alpha: float | None = ALPHA,
) -> Tensors:
    """The same as a file's tensors."""
    tensors = {}
    for name, (down, up) in pairs.items():
        tensors |= {f"{stem(name)}.{ends[0]}": down, f"{stem(name)}.{ends[1]}": up}
        if alpha is not None:
            tensors[f"{stem(name)}.alpha"] = torch.tensor(alpha)
    return tensors


def layers(family: Any, component: str) -> dict[str, nn.Module]:
    """A component's linear layers and convolutions by name."""
    kinds = (nn.Linear, nn.Conv2d)
    modules = family.components.modules[component].named_modules()
    return {name: module for name, module in modules if isinstance(module, kinds)}


def of_layers(family: Any, component: str, *contains: str) -> Pairs:
    """Random matrices for those layers whose names hold one of the words."""
    return {
        name: pair(module, seed)
        for seed, (name, module) in enumerate(layers(family, component).items())
        if any(word in f".{name}" for word in contains)
    }


A_B = ("lora_A.weight", "lora_B.weight")
PEFT = ("lora_A.default.weight", "lora_B.default.weight")
DOTS = ("lora.down.weight", "lora.up.weight")
BARE = ("down.weight", "up.weight")
OLD = ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight")
ENDS = (*A_B, *PEFT, *OLD, *DOTS, "lora_down.weight", "lora_up.weight", *BARE)


def dotted(prefix: str) -> Callable[[str], str]:
    return lambda name: f"{prefix}{name}"


def kohya(prefix: str = "lora_unet_") -> Callable[[str], str]:
    return lambda name: f"{prefix}{name.replace('.', '_')}"


def processors(name: str) -> str:
    """As diffusers named attention's matrices before it used peft."""
    block, _, last = name.removesuffix(".0").rpartition(".")
    return f"unet.{block}.processor.{last}_lora"


# What it should do -------------------------------------------------------------------------------


def named(
    part: str, *prefixes: str, alpha: float | None = ALPHA
) -> Callable[[Any, Tensors], Pairs]:
    """Diffusers' own names, after one of the prefixes, whatever stands for dots."""

    def expected(family: Any, tensors: Tensors) -> Pairs:
        names = {
            name.removeprefix("text_model.").replace(".", "_"): f"{part}.{name}"
            for name in layers(family, part)
        }
        pairs: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            stem = next((key.removeprefix(one) for one in prefixes if key.startswith(one)), "")
            for end in ENDS:
                name = stem.removesuffix(f".{end}")
                if name != stem:
                    side = "down" if "down" in end or "_A" in end else "up"
                    plain = name.replace("_lora", "").replace(".processor", "").replace(".", "_")
                    plain = plain.removeprefix("text_model_")
                    plain = plain if plain in names else f"{plain}_0"  # processors' to_out
                    pairs.setdefault(names[plain], {})[side] = tensor
                    break
        scale = 1.0 if alpha is None else alpha / RANK
        return {name: (one["down"], scale * one["up"]) for name, one in pairs.items()}

    return expected


def both(*every: Expected) -> Expected:
    """Each of the parts of a file by what tells of its prefixes."""

    def expected(family: Any, tensors: Tensors) -> Pairs:
        pairs: Pairs = {}
        for one in every:
            pairs |= one(family, tensors)
        return pairs

    return expected


def _paired(converted: Mapping[str, Tensor], scale: float = 1.0) -> Pairs:
    """lora_A and lora_B by the layer."""
    return {
        key.removesuffix(".lora_A.weight"): (
            down,
            scale * converted[key.replace("lora_A", "lora_B")],
        )
        for key, down in converted.items()
        if key.endswith("lora_A.weight")
    }


def _whole(name: str) -> str:
    """A converted key with its component, which some converters leave out."""
    return name if name.startswith(("transformer.", "text_encoder")) else f"transformer.{name}"


def flux_kohya(family: Any, tensors: Tensors) -> Pairs:
    own = {key: tensor for key, tensor in tensors.items() if "text_model" not in key}
    converted = _convert_kohya_flux_lora_to_diffusers(own)
    return {_whole(name): one for name, one in _paired(converted).items()}


def flux_xlabs(family: Any, tensors: Tensors) -> Pairs:
    return _paired(_convert_xlabs_flux_lora_to_diffusers(dict(tensors)))


def flux_respelt(prefix: str, ends: tuple[str, str]) -> Expected:
    """By kohya's converter, of the same numbers in kohya's spelling."""

    def expected(family: Any, tensors: Tensors) -> Pairs:
        respelt = {}
        for key, tensor in tensors.items():
            for theirs, kohyas in zip(ends, ("lora_down.weight", "lora_up.weight"), strict=True):
                if key.endswith(theirs):
                    stem = key.removeprefix(prefix).removesuffix(f".{theirs}")
                    respelt[f"{kohya()(stem)}.{kohyas}"] = tensor
        return flux_kohya(family, respelt)

    return expected


def sdxl_kohya(family: Any, tensors: Tensors) -> Pairs:
    own = {key: tensor for key, tensor in tensors.items() if "text_model" not in key}
    moved = _maybe_map_sgm_blocks_to_diffusers(own, family.components.config("unet"))
    converted, alphas = _convert_non_diffusers_lora_to_diffusers(moved)
    assert set(alphas.values()) <= {ALPHA}
    peft = convert_unet_state_dict_to_peft(converted)
    return _paired(peft, ALPHA / RANK)


def z_image_converted(family: Any, tensors: Tensors) -> Pairs:
    return _paired(_convert_non_diffusers_z_image_lora_to_diffusers(dict(tensors)))


def z_image_fused(family: Any, tensors: Tensors) -> Pairs:
    """A fused matrix's up in three, its down for each."""
    pairs: Pairs = {}
    for name, (down, up) in _paired(tensors).items():
        block = name.removeprefix("diffusion_model.")
        if block.endswith(".qkv"):
            for one, part in zip("qkv", up.chunk(3), strict=True):
                pairs[f"transformer.{block.removesuffix('qkv')}to_{one}"] = (down, part)
        else:
            pairs[f"transformer.{block.removesuffix('out')}to_out.0"] = (down, up)
    return pairs


# The models' own names ---------------------------------------------------------------------------

H, M, T, P = 3072, 12288, 4096, 768  # FLUX.1's width, that within its MLPs, of T5 and of CLIP
FLUX_BLOCKS = {
    **{
        f"double_blocks.0.{one}_{name}": shape
        for one in ("img", "txt")
        for name, shape in {
            "attn.qkv": (3 * H, H), "attn.proj": (H, H), "mlp.0": (M, H), "mlp.2": (H, M),
            "mod.lin": (6 * H, H),
        }.items()
    },
    "single_blocks.0.linear1": (3 * H + M, H), "single_blocks.0.linear2": (H, H + M),
    "single_blocks.0.modulation.lin": (3 * H, H),
}  # fmt: skip
FLUX_REST = {
    "img_in": (H, 64), "txt_in": (H, T), "time_in.in_layer": (H, 256), "time_in.out_layer": (H, H),
    "vector_in.in_layer": (H, P), "vector_in.out_layer": (H, H),
    "guidance_in.in_layer": (H, 256), "guidance_in.out_layer": (H, H),
}  # fmt: skip
FLUX_FINAL = {"final_layer.linear": (64, H), "final_layer.adaLN_modulation.1": (2 * H, H)}
FLUX_XLABS = {
    "double_blocks.0.processor.qkv_lora1": (3 * H, H),
    "double_blocks.0.processor.qkv_lora2": (3 * H, H),
    "double_blocks.0.processor.proj_lora1": (H, H),
    "double_blocks.0.processor.proj_lora2": (H, H),
}

_RESNET = ("in_layers.2", "emb_layers.1", "out_layers.3")
_BLOCK = (
    *(f"attn{i}.to_{one}" for i in (1, 2) for one in ("q", "k", "v", "out.0")),
    "ff.net.0.proj", "ff.net.2",
)  # fmt: skip
_DEPTHS = {
    "input_blocks": {4: 1, 5: 1, 7: 2, 8: 2},
    "middle_block": {1: 2},
    "output_blocks": {0: 2, 1: 2, 2: 2, 3: 1, 4: 1, 5: 1},
}


def sgm_attentions() -> list[str]:
    """Of Stability's UNet, all that stands in its transformers."""
    names = []
    for block, depths in _DEPTHS.items():
        for number, depth in depths.items():
            place = f"{block}.{number}" + ("" if block == "middle_block" else ".1")
            names += [f"{place}.proj_in", f"{place}.proj_out"]
            names += [
                f"{place}.transformer_blocks.{i}.{one}" for i in range(depth) for one in _BLOCK
            ]
    return names


def sgm_rest() -> list[str]:
    """Its convolutions, and what embeds."""
    resnets = [f"input_blocks.{i}.0" for i in (1, 2, 4, 5, 7, 8)]
    resnets += [f"output_blocks.{i}.0" for i in range(9)] + ["middle_block.0", "middle_block.2"]
    skips = [f"{one}.skip_connection" for one in ("input_blocks.4.0", "output_blocks.0.0")]
    sizes = ["input_blocks.3.0.op", "input_blocks.6.0.op", "output_blocks.2.2.conv",
             "output_blocks.5.2.conv"]  # fmt: skip
    ends = ["input_blocks.0.0", "out.2", "time_embed.0", "time_embed.2", "label_emb.0.0",
            "label_emb.0.2"]  # fmt: skip
    return [*(f"{one}.{inside}" for one in resnets for inside in _RESNET), *skips, *sizes, *ends]


def sgm(family: Any, names: Iterable[str]) -> Tensors:
    """Kohya's file of such layers, each of the shape of the layer that diffusers finds for it."""
    tensors: Tensors = {}
    unet = layers(family, "unet")
    for seed, name in enumerate(names):
        stem = kohya()(name)
        probe = {f"{stem}.lora_down.weight": torch.ones(1), f"{stem}.lora_up.weight": torch.ones(1)}
        (found,) = sdxl_kohya(family, probe)
        module = unet[found.removeprefix("unet.")]
        tensors |= spell({name: pair(module, seed)}, kohya())
    return tensors


CLIP = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
FLUX_DIFFUSERS = ("transformer_blocks.", "single_transformer_blocks.")
FLUX_OTHERS = ("x_embedder", "context_embedder", "time_text_embed", "norm_out", ".proj_out")
SDXL_ATTENTIONS, SDXL_CONVOLUTIONS = (".attentions.",), (".resnets.", "samplers", "conv_")
Z_BLOCKS = (".layers.", ".noise_refiner.", ".context_refiner.")
Z_OTHERS = ("all_x_embedder", "cap_embedder", "t_embedder", "all_final_layer")


def flux_file(shapes: Mapping[str, tuple[int, int]], *spelling: Any, **how: Any) -> Tensors:
    return spell(matrices(shapes), *spelling, **how)
