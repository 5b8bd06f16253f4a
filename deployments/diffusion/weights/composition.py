"""What the checkpoints of each family are made of, and by what their strange relatives are known.

Only what stands here is ever imported for a checkpoint: its model_index.json is a stranger's.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from deployments.diffusion.weights import misfits
from deployments.diffusion.weights.misfits import Configs
from deployments.diffusion.weights.unavailable import ModelRefused


class Component(NamedTuple):
    """A part of a checkpoint that is read.

    reads: the class that reads it. named: others that model_index.json may name for the same
    weights. needs: entries of its config that have no default which could be meant, with their
    types. unread: how names of weights begin that its files may hold beside the part's own.
    nested: the entry of its config that holds those entries in newer files. spelt: how names of
    weights begin in its files, the first that fits, and in the class that reads them.
    """

    library: str
    reads: str
    named: tuple[str, ...] = ()
    needs: Mapping[str, type] = {}
    unread: tuple[str, ...] = ()
    nested: str | None = None
    spelt: Mapping[str, str] = {}

    @property
    def kind(self) -> Any:
        """The class that reads it, imported."""
        return getattr(importlib.import_module(self.library), self.reads)


class Vocabulary(NamedTuple):
    """A tokenizer that is read.

    named: the classes that model_index.json may name. encoder: the component that reads its tokens.
    core: the kind of vocabulary, None for any. padded: whether prompts are padded to its
    model_max_length.
    """

    named: tuple[str, ...]
    encoder: str
    core: str | None = None
    padded: bool = False


class Processor(NamedTuple):
    """What makes pictures into what a text encoder sees.

    reads: the class of transformers that does. named: the classes that model_index.json may name,
    of which it is a part. encoder: the component that sees them.
    """

    reads: str
    named: tuple[str, ...]
    encoder: str

    @property
    def kind(self) -> Any:
        """The class, imported."""
        return getattr(importlib.import_module("transformers"), self.reads)


class Composition(NamedTuple):
    """What a family's checkpoints are made of.

    pipelines: the classes that model_index.json may name as its own, all of the same components.
    chat: whether prompts are put into a chat template.
    misfits: what of the configs shows a relative that this family's loop would draw wrongly.
    """

    title: str
    pipelines: tuple[str, ...]
    components: Mapping[str, Component]
    tokenizers: Mapping[str, Vocabulary]
    chat: bool
    misfits: Callable[[Configs], Iterator[tuple[str, str]]]
    processors: Mapping[str, Processor] = {}


NO_PART = ("safety_checker", "feature_extractor", "image_encoder")
"""What pipelines of these families may list, and none of what is drawn here reads."""

QWEN_TOKENS = Vocabulary(
    named=(
        "Qwen2Tokenizer",
        "Qwen2TokenizerFast",
        "PreTrainedTokenizerFast",
        "TokenizersBackend",
    ),
    encoder="text_encoder",
)
CLIP_TOKENS = Vocabulary(
    named=("CLIPTokenizer", "CLIPTokenizerFast"), encoder="text_encoder", core="BPE", padded=True
)
T5_TOKENS = Vocabulary(
    named=("T5Tokenizer", "T5TokenizerFast"), encoder="text_encoder_2", core="Unigram"
)
CLIP = Component(
    "transformers",
    "CLIPTextModel",
    needs={"hidden_size": int, "vocab_size": int, "max_position_embeddings": int},
    unread=("text_projection.", "vision_model.", "visual_projection.", "logit_scale"),
)
VAE = Component(
    "diffusers",
    "AutoencoderKL",
    needs={"latent_channels": int, "scaling_factor": float, "block_out_channels": list},
    unread=("loss.",),
)
QWEN_IMAGE = {
    "transformer": Component(
        "diffusers",
        "QwenImageTransformer2DModel",
        needs={"in_channels": int, "joint_attention_dim": int},
    ),
    "text_encoder": Component(
        "transformers",
        "Qwen2_5_VLModel",
        named=("Qwen2_5_VLForConditionalGeneration",),
        needs={"hidden_size": int, "vocab_size": int},
        unread=("lm_head.",),
        nested="text_config",
        spelt={
            "model.language_model.": "language_model.",
            "model.visual.": "visual.",
            "model.": "language_model.",
        },
    ),
    "vae": Component(
        "diffusers",
        "AutoencoderKLQwenImage",
        needs={
            "z_dim": int,
            "temperal_downsample": list,
            "latents_mean": list,
            "latents_std": list,
        },
    ),
}
FLOW_VAE = VAE._replace(needs={**VAE.needs, "shift_factor": float})


COMPOSITIONS: Mapping[str, Composition] = {
    "z-image": Composition(
        title="Z-Image",
        pipelines=("ZImagePipeline", "ZImageImg2ImgPipeline", "ZImageInpaintPipeline"),
        components={
            "transformer": Component(
                "diffusers",
                "ZImageTransformer2DModel",
                needs={"in_channels": int, "cap_feat_dim": int},
            ),
            "text_encoder": Component(
                "transformers",
                "Qwen3Model",
                named=("Qwen3ForCausalLM",),
                needs={"hidden_size": int, "vocab_size": int},
                unread=("lm_head.",),
            ),
            "vae": FLOW_VAE,
        },
        tokenizers={"tokenizer": QWEN_TOKENS},
        chat=True,
        misfits=misfits.z_image,
    ),
    "sdxl": Composition(
        title="SDXL",
        pipelines=(
            "StableDiffusionXLPipeline",
            "StableDiffusionXLImg2ImgPipeline",
            "StableDiffusionXLInpaintPipeline",
        ),
        components={
            "unet": Component(
                "diffusers",
                "UNet2DConditionModel",
                needs={
                    "in_channels": int,
                    "cross_attention_dim": int,
                    "addition_time_embed_dim": int,
                    "projection_class_embeddings_input_dim": int,
                },
            ),
            "text_encoder": CLIP,
            "text_encoder_2": CLIP._replace(
                reads="CLIPTextModelWithProjection",
                needs={**CLIP.needs, "projection_dim": int},
                unread=tuple(name for name in CLIP.unread if name != "text_projection."),
            ),
            "vae": VAE,
        },
        tokenizers={
            "tokenizer": CLIP_TOKENS,
            "tokenizer_2": CLIP_TOKENS._replace(encoder="text_encoder_2"),
        },
        chat=False,
        misfits=misfits.sdxl,
    ),
    "flux": Composition(
        title="FLUX.1",
        pipelines=("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline"),
        components={
            "transformer": Component(
                "diffusers",
                "FluxTransformer2DModel",
                needs={
                    "in_channels": int,
                    "guidance_embeds": bool,
                    "joint_attention_dim": int,
                    "pooled_projection_dim": int,
                },
            ),
            "text_encoder": CLIP,
            "text_encoder_2": Component(
                "transformers",
                "T5EncoderModel",
                named=("T5ForConditionalGeneration",),
                needs={"d_model": int, "vocab_size": int},
                unread=("decoder.", "lm_head."),
            ),
            "vae": FLOW_VAE,
        },
        tokenizers={"tokenizer": CLIP_TOKENS, "tokenizer_2": T5_TOKENS},
        chat=False,
        misfits=misfits.flux,
    ),
    "flux2-klein": Composition(
        title="FLUX.2-klein",
        pipelines=("Flux2KleinPipeline", "Flux2KleinInpaintPipeline"),
        components={
            "transformer": Component(
                "diffusers",
                "Flux2Transformer2DModel",
                needs={"in_channels": int, "joint_attention_dim": int},
            ),
            "text_encoder": Component(
                "transformers",
                "Qwen3Model",
                named=("Qwen3ForCausalLM",),
                needs={"hidden_size": int, "vocab_size": int, "num_hidden_layers": int},
                unread=("lm_head.",),
            ),
            "vae": Component(
                "diffusers",
                "AutoencoderKLFlux2",
                needs={"latent_channels": int, "block_out_channels": list},
            ),
        },
        tokenizers={"tokenizer": QWEN_TOKENS},
        chat=True,
        misfits=misfits.flux2_klein,
    ),
    "qwen-image": Composition(
        title="Qwen-Image",
        pipelines=("QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline"),
        components=QWEN_IMAGE,
        tokenizers={"tokenizer": QWEN_TOKENS},
        chat=False,
        misfits=misfits.qwen_image,
    ),
    "qwen-image-edit": Composition(
        title="Qwen-Image-Edit",
        pipelines=(
            "QwenImageEditPipeline",
            "QwenImageEditPlusPipeline",
            "QwenImageEditInpaintPipeline",
        ),
        components=QWEN_IMAGE,
        tokenizers={"tokenizer": QWEN_TOKENS},
        chat=False,
        misfits=misfits.qwen_image,
        processors={
            "processor": Processor(
                "Qwen2VLImageProcessorPil",
                named=("Qwen2VLProcessor", "Qwen2_5_VLProcessor"),
                encoder="text_encoder",
            )
        },
    ),
}

RELATIVES: Sequence[tuple[str, str]] = (
    ("FluxKontext", "FLUX.1-Kontext, which edits by reference"),
    ("FluxFill", "FLUX.1-Fill, which reads a picture and a mask"),
    ("FluxControlNet", "FLUX.1 with a ControlNet"),
    ("FluxControl", "FLUX.1-Depth or -Canny, which reads a control picture"),
    ("FluxPriorRedux", "FLUX.1-Redux, which reads pictures"),
    ("Flux2KleinKV", "FLUX.2-klein with a cache of its references"),
    ("Flux2", "FLUX.2-dev"),
    ("StableDiffusionXLInstructPix2Pix", "SDXL InstructPix2Pix, which reads a picture"),
    ("StableDiffusionXLControlNet", "SDXL with a ControlNet"),
    ("StableDiffusionXLAdapter", "SDXL with a T2I-Adapter"),
    ("StableDiffusion3", "Stable Diffusion 3"),
    ("StableDiffusionPipeline", "Stable Diffusion 1 or 2"),
    ("StableDiffusionImg2Img", "Stable Diffusion 1 or 2"),
    ("StableDiffusionInpaint", "Stable Diffusion 1 or 2 for inpainting"),
    ("LatentConsistencyModel", "a latent consistency model of Stable Diffusion 1"),
    ("ZImageOmni", "Z-Image-Omni, which reads pictures too"),
    ("ZImageControlNet", "Z-Image with a ControlNet"),
    ("QwenImageLayered", "Qwen-Image-Layered, which draws several layers"),
    ("QwenImageControlNet", "Qwen-Image with a ControlNet"),
)
"""Pipelines that are served by no family here: how their class begins, and what they are."""


def class_of(library: str, name: str) -> Any:
    """A class that some family reads, imported. Raises ModelRefused for any other."""
    for composition in COMPOSITIONS.values():
        for component in composition.components.values():
            if (component.library, component.reads) == (library, name):
                return component.kind
    raise ModelRefused(f"{library}.{name} is no class that a family reads")


def family_of_pipeline(pipeline: str) -> str | None:
    """The family that serves what this class of diffusers draws, None if none does."""
    for family, composition in COMPOSITIONS.items():
        if pipeline in composition.pipelines:
            return family
    return None


def described(pipeline: str) -> str:
    """What a class of diffusers draws, in words."""
    for beginning, words in RELATIVES:
        if pipeline.startswith(beginning):
            return f"{words} ({pipeline})"
    return f"a {pipeline}"
