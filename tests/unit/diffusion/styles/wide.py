"""Families whose layers are named, and where a converter counts on it as large, as the real ones.

Nothing is drawn with them: their denoisers have no weights.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, UNet2DConditionModel

from deployments.diffusion.families.flux import Flux
from deployments.diffusion.families.sdxl import SDXL
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.components import SharedComponents
from tests.tiny_checkpoint import save_tiny_checkpoint
from tests.tiny_families import save_tiny_flux, save_tiny_sdxl


def wide_family(name: str, folder: Path) -> Any:
    """A family over a checkpoint that is saved into the folder."""
    save = {"z-image": save_tiny_checkpoint, "sdxl": save_tiny_sdxl, "flux": save_tiny_flux}[name]
    source = ModelSource.model_validate(
        {"source": str(save(folder)), "family": name, "dtype": "float32", "device": "cpu"}
    )
    components = SharedComponents.load(source)
    if name == "z-image":
        return ZImage(components, 512)
    part = "unet" if name == "sdxl" else "transformer"
    with torch.device("meta"):
        denoiser = _unet() if name == "sdxl" else _flux()
    components = replace(components, modules={**components.modules, part: denoiser})
    return SDXL(components, 77) if name == "sdxl" else Flux(components, 512)


def _flux() -> FluxTransformer2DModel:
    """One block of each kind, of FLUX.1's own width."""
    return FluxTransformer2DModel(num_layers=1, num_single_layers=1, guidance_embeds=True)


def _unet() -> UNet2DConditionModel:
    """SDXL's blocks, narrow and with shorter transformers."""
    return UNet2DConditionModel(
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32, 32),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4, 4),
        transformer_layers_per_block=(1, 1, 2),
        use_linear_projection=True,
        cross_attention_dim=64,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 24,
        norm_num_groups=4,
    )
