"""What the models' own authors, and the trainers that follow them, call the layers of each family.

Diffusers gave the layers other names, split some matrices and turned some halves round. These are
the names from before that, with the layers of diffusers' models that they are.
"""

import re
from collections.abc import Collection, Iterator

from deployments.diffusion.styles import Half, Names

_DOUBLE, _SINGLE = "transformer_blocks.{i}", "single_transformer_blocks.{i}"
_IMAGE = tuple(f"{_DOUBLE}.attn.to_{one}" for one in "qkv")
_TEXT = tuple(f"{_DOUBLE}.attn.add_{one}_proj" for one in "qkv")
_ONE = tuple(f"{_SINGLE}.attn.to_{one}" for one in "qkv")
_TIME = "time_text_embed"

FLUX: Names = {
    "double_blocks.{i}.img_attn.qkv": _IMAGE,
    "double_blocks.{i}.txt_attn.qkv": _TEXT,
    "double_blocks.{i}.img_attn.proj": (f"{_DOUBLE}.attn.to_out.0",),
    "double_blocks.{i}.txt_attn.proj": (f"{_DOUBLE}.attn.to_add_out",),
    "double_blocks.{i}.img_mlp.0": (f"{_DOUBLE}.ff.net.0.proj",),
    "double_blocks.{i}.img_mlp.2": (f"{_DOUBLE}.ff.net.2",),
    "double_blocks.{i}.txt_mlp.0": (f"{_DOUBLE}.ff_context.net.0.proj",),
    "double_blocks.{i}.txt_mlp.2": (f"{_DOUBLE}.ff_context.net.2",),
    "double_blocks.{i}.img_mod.lin": (f"{_DOUBLE}.norm1.linear",),
    "double_blocks.{i}.txt_mod.lin": (f"{_DOUBLE}.norm1_context.linear",),
    "single_blocks.{i}.linear1": (*_ONE, f"{_SINGLE}.proj_mlp"),
    "single_blocks.{i}.linear2": (f"{_SINGLE}.proj_out",),
    "single_blocks.{i}.modulation.lin": (f"{_SINGLE}.norm.linear",),
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.in_layer": (f"{_TIME}.timestep_embedder.linear_1",),
    "time_in.out_layer": (f"{_TIME}.timestep_embedder.linear_2",),
    "guidance_in.in_layer": (f"{_TIME}.guidance_embedder.linear_1",),
    "guidance_in.out_layer": (f"{_TIME}.guidance_embedder.linear_2",),
    "vector_in.in_layer": (f"{_TIME}.text_embedder.linear_1",),
    "vector_in.out_layer": (f"{_TIME}.text_embedder.linear_2",),
    "final_layer.linear": ("proj_out",),
    # theirs gives shift and scale, diffusers' scale and shift
    "final_layer.adaLN_modulation.1": (Half("norm_out.linear", 1), Half("norm_out.linear", 0)),
    # XLabs trains attention's processors: 1 is the picture's stream, 2 the text's
    "double_blocks.{i}.processor.qkv_lora1": _IMAGE,
    "double_blocks.{i}.processor.qkv_lora2": _TEXT,
    "double_blocks.{i}.processor.proj_lora1": (f"{_DOUBLE}.attn.to_out.0",),
    "double_blocks.{i}.processor.proj_lora2": (f"{_DOUBLE}.attn.to_add_out",),
    "single_blocks.{i}.processor.qkv_lora": _ONE,
    "single_blocks.{i}.processor.proj_lora": (f"{_SINGLE}.proj_out",),
}

_FUSED = f"{_SINGLE}.attn.to_qkv_mlp_proj"

FLUX2: Names = {
    **{name: FLUX[name] for name in FLUX if ".img_attn." in name or ".txt_attn." in name},
    "double_blocks.{i}.img_mlp.0": (f"{_DOUBLE}.ff.linear_in",),
    "double_blocks.{i}.img_mlp.2": (f"{_DOUBLE}.ff.linear_out",),
    "double_blocks.{i}.txt_mlp.0": (f"{_DOUBLE}.ff_context.linear_in",),
    "double_blocks.{i}.txt_mlp.2": (f"{_DOUBLE}.ff_context.linear_out",),
    "single_blocks.{i}.linear1": (_FUSED,),
    "single_blocks.{i}.linear2": (f"{_SINGLE}.attn.to_out",),
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.in_layer": ("time_guidance_embed.timestep_embedder.linear_1",),
    "time_in.out_layer": ("time_guidance_embed.timestep_embedder.linear_2",),
    **{
        f"{one}.lin": (f"{one}.linear",)
        for one in (
            "double_stream_modulation_img",
            "double_stream_modulation_txt",
            "single_stream_modulation",
        )
    },
    "final_layer.linear": ("proj_out",),
    "final_layer.adaLN_modulation.1": (Half("norm_out.linear", 1), Half("norm_out.linear", 0)),
}

Z_IMAGE: Names = {
    **{
        f"{block}.{{i}}.attention.{theirs}": tuple(
            f"{block}.{{i}}.attention.{ours}" for ours in layers
        )
        for block in ("layers", "noise_refiner", "context_refiner")
        for theirs, layers in {"qkv": ("to_q", "to_k", "to_v"), "out": ("to_out.0",)}.items()
    },
    "x_embedder": ("all_x_embedder.2-1",),
    "final_layer.linear": ("all_final_layer.2-1.linear",),
    "final_layer.adaLN_modulation.1": ("all_final_layer.2-1.adaLN_modulation.1",),
}

_SGM_INSIDE = {
    "resnets": {
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    },
    "downsamplers": {"conv": "op"},
}
_SGM_REST = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_PLACE = re.compile(r"(?P<whole>(mid_block|(down|up)_blocks\.\d+)\.(?P<kind>\w+)\.\d+)\.")


def sdxl_names(layers: Collection[str]) -> Names:
    """The names of Stability's own UNet for the layers of one. They count all that stands one after
    another, which depends on what there is."""
    moved = dict(_sgm_places(layers))
    names: dict[str, tuple[str | Half, ...]] = {}
    for layer in layers:
        place = _PLACE.match(layer)
        if layer in _SGM_REST:
            names[_SGM_REST[layer]] = (layer,)
        elif place:
            rest = layer.removeprefix(place[0])
            inside = _SGM_INSIDE.get(place["kind"], {}).get(rest, rest)
            names[f"{moved[place['whole']]}.{inside}"] = (layer,)
    return names


def _sgm_places(layers: Collection[str]) -> Iterator[tuple[str, str]]:
    """Resnets, attentions and what changes sizes, with their places in Stability's UNet."""

    def there(place: str) -> bool:
        return any(layer.startswith(f"{place}.") for layer in layers)

    for index, place in enumerate(("resnets.0", "attentions.0", "resnets.1")):
        yield f"mid_block.{place}", f"middle_block.{index}"
    for way, blocks, number in (("down", "input_blocks", 1), ("up", "output_blocks", 0)):
        block = 0
        while there(f"{way}_blocks.{block}"):
            name = f"{way}_blocks.{block}"
            layer = 0
            while there(f"{name}.resnets.{layer}"):
                yield f"{name}.resnets.{layer}", f"{blocks}.{number}.0"
                yield f"{name}.attentions.{layer}", f"{blocks}.{number}.1"
                layer, number = layer + 1, number + 1
            if there(f"{name}.downsamplers.0"):
                yield f"{name}.downsamplers.0", f"{blocks}.{number}.0"
                number += 1
            if there(f"{name}.upsamplers.0"):  # beside the block's last resnet
                beside = 2 if there(f"{name}.attentions.0") else 1
                yield f"{name}.upsamplers.0", f"{blocks}.{number - 1}.{beside}"
            block += 1
