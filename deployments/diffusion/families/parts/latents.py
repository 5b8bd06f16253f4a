"""Between pictures and latents: one VAE, its scaling, and the noise that latents start from."""

from copy import copy, deepcopy
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.utils.torch_utils import randn_tensor
from numpy.typing import NDArray

from deployments.diffusion.request import GenerationParams, require_finite
from deployments.diffusion.weights import ModelRefused, SharedComponents

MAX_TILE = 64  # latents; 512 pixels at a factor of 8
MIN_TILE = 8
STEP = 4  # a tile's overlap is a quarter of it: a multiple of this keeps it whole


class LatentSpace:
    """The latents (1, C, h, w) of pictures uint8 (H, W, 3), scaled as a family's loop wants them.

    factor: pixels per latent and side. mask_mode: how masks are brought to the latents' size.
    upcast: whether the VAE needs float32's range: all of it in place of float16, which it leaves;
    of bfloat16, whose range is the same, the encoder alone, with weights lent for each call.
    """

    mask_mode: ClassVar[str] = "nearest"

    def __init__(self, components: SharedComponents, upcast: bool = False) -> None:
        self._vae: Any = components.modules["vae"]
        self._device = components.device
        self._dtype = components.dtype
        in_full = upcast and components.dtype == torch.float16
        self._vae_dtype = torch.float32 if in_full else components.dtype
        for part in self._vae.children() if in_full else ():
            part.float()
        self._upcast = upcast and self._vae_dtype != torch.float32
        self._read(components.config("vae"))

    def _read(self, config: Any) -> None:
        """Raises ModelRefused for a VAE whose channels have statistics of their own."""
        for entry in ("latents_mean", "latents_std"):
            if config.get(entry) is not None:
                raise ModelRefused(
                    f"vae/config.json: {entry}: statistics by channel are not supported; give a "
                    "checkpoint whose VAE has scaling_factor and shift_factor alone"
                )
        self._channels = int(config.latent_channels)
        self._scaling = float(config.get("scaling_factor") or 1.0)
        self._shift = float(config.get("shift_factor") or 0.0)
        self.factor = 2 ** (len(config.block_out_channels) - 1)

    def shape(self, params: GenerationParams) -> tuple[int, int, int, int]:
        """(1, C, h, w) of one picture's latents."""
        return (1, self._channels, params.height // self.factor, params.width // self.factor)

    def noise(
        self,
        shape: tuple[int, ...],
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
    ) -> torch.Tensor:
        """Standard normal, in the components' dtype unless another is given.

        Drawn on the CPU, so that a seed gives the same picture on every device.
        """
        noise: torch.Tensor = randn_tensor(
            shape, generator=generator, device=self._device, dtype=dtype or self._dtype
        )
        return noise

    def encode(
        self, picture: NDArray[np.uint8], *, tiled: bool = False
    ) -> DiagonalGaussianDistribution:
        """The distribution of a picture's latents, not yet scaled.

        `tiled` takes less memory, but changes them slightly.
        """
        # One byte a value travels to the device, and back from `decode`, not four.
        values = torch.tensor(picture[None], device=self._device).permute(0, 3, 1, 2).float() / 255
        return self._distribution((2.0 * values - 1.0).to(self._dtype), tiled)

    def _distribution(self, pixels: torch.Tensor, tiled: bool) -> DiagonalGaussianDistribution:
        """What the VAE makes of pixels (1, 3, H, W) from -1 to 1."""
        height, width = (side // self.factor for side in pixels.shape[-2:])
        vae = in_tiles(self._vae, height, width) if tiled else self._vae
        pixels = self._laid_out(pixels).to(self._vae_dtype)
        if self._upcast:
            vae, pixels = encoding_in_float32(vae), pixels.float()
        distribution: DiagonalGaussianDistribution = vae.encode(pixels).latent_dist
        return distribution

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        """The VAE's latents as the loop's, in the components' dtype."""
        return (latents.to(self._dtype) - self._shift) * self._scaling

    def unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        """The inverse of `scaled`, in the VAE's dtype."""
        return latents.to(self._vae_dtype) / self._scaling + self._shift

    def mode(self, picture: NDArray[np.uint8], *, tiled: bool = False) -> torch.Tensor:
        """The most likely latents of a picture, scaled."""
        return self.scaled(self.encode(picture, tiled=tiled).mode())

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
        """One picture from its final latents; `tiled` takes less memory, but changes pixels.

        Raises GenerationFailed for one that is not all finite.
        """
        image = self._decoded(self.unscaled(latents), tiled)
        finite = image.isfinite().all()  # of what goes out: a VAE may overflow by itself
        image = (image * 0.5 + 0.5).clamp(0, 1).permute(1, 2, 0).float()
        picture: NDArray[np.uint8] = (image * 255).round().to(torch.uint8).cpu().numpy()
        require_finite(finite)  # read after the picture, which the device has been waited for
        return picture

    def _decoded(self, unscaled: torch.Tensor, tiled: bool) -> torch.Tensor:
        """Pixels (3, H, W) from -1 to 1 of the VAE's own latents."""
        vae = in_tiles(self._vae, *unscaled.shape[-2:]) if tiled else self._vae
        image: torch.Tensor = vae.decode(self._laid_out(unscaled), return_dict=False)[0][0]
        return image

    def _laid_out(self, values: torch.Tensor) -> torch.Tensor:
        """Channels last in float32 on a CPU, where convolutions take a quarter less time so.

        bfloat16 would round otherwise than diffusers does; on CUDA group norm turns the layout
        back, layer by layer.
        """
        if self._device.type != "cpu" or self._dtype != torch.float32:
            return values
        return values.contiguous(memory_format=torch.channels_last)

    def mask(self, mask: NDArray[np.bool_], shape: tuple[int, ...]) -> torch.Tensor:
        """bool (H, W) to (1, 1, h, w), 1 where to repaint."""
        full = torch.from_numpy(mask.astype(np.float32))[None, None]
        small = torch.nn.functional.interpolate(full, size=shape[-2:], mode=self.mask_mode)
        return small.to(self._device, self._dtype)


def in_tiles(vae: Any, height: int, width: int) -> Any:
    """The VAE as one that works on height x width latents in at least four overlapping, blended
    tiles where possible.

    diffusers tiles nothing up to the size that the autoencoder was trained at, so the tile is set
    here, to half of the longer side at most. Tiles are normalised each by itself, so pixels change.
    """
    tile = tile_side(height, width)
    tiling = copy(vae)
    tiling.use_tiling = True
    tiling.tile_latent_min_size = tile
    tiling.tile_sample_min_size = tile * 2 ** (len(vae.config.block_out_channels) - 1)
    return tiling


def tile_side(height: int, width: int) -> int:
    """In latents, of a tile among at least four of height x width latents where possible."""
    half = -(-max(height, width) // (2 * STEP)) * STEP
    return max(MIN_TILE, min(half, MAX_TILE))


def encoding_in_float32(vae: Any) -> Any:
    """The VAE as one that encodes in float32; its encoder's weights are copied, and last as long.

    Neither this nor `in_tiles` changes the module that it is given, which another thread may run:
    the modules and tensors that they leave as they are, are the same ones.
    """
    upcast = copy(vae)
    encoding = {"encoder": vae.encoder, "quant_conv": vae.quant_conv}
    upcast._modules = vae._modules | {
        name: _in_float32(part) for name, part in encoding.items() if part is not None
    }
    return upcast


def _in_float32(module: torch.nn.Module) -> torch.nn.Module:
    """A second module, its weights in float32; those of the first are never copied as they are."""
    tensors = (*module.parameters(), *module.buffers())
    floats = {id(t): torch.nn.Parameter(t.float(), requires_grad=False) for t in tensors}
    return deepcopy(module, floats)
