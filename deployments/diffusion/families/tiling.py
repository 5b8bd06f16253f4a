"""Encoding and decoding in tiles, for autoencoders of diffusers' AutoencoderKL kind."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MAX_TILE = 64  # latents; 512 pixels at a factor of 8
MIN_TILE = 8
STEP = 4  # a tile's overlap is a quarter of it: a multiple of this keeps it whole


@contextmanager
def tiles(vae: Any, height: int, width: int) -> Iterator[None]:
    """Work on height x width latents in at least four overlapping, blended tiles where possible.

    diffusers tiles nothing up to the size that the autoencoder was trained at, so the tile is set
    here, to half of the longer side at most. The settings are the module's own: they are put back,
    and only the device thread may do this. Tiles are normalised each by itself, so pixels change.
    """
    half = -(-max(height, width) // (2 * STEP)) * STEP
    tile = max(MIN_TILE, min(half, MAX_TILE))
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    before = (vae.use_tiling, vae.tile_latent_min_size, vae.tile_sample_min_size)
    vae.use_tiling, vae.tile_latent_min_size, vae.tile_sample_min_size = True, tile, tile * factor
    try:
        yield
    finally:
        vae.use_tiling, vae.tile_latent_min_size, vae.tile_sample_min_size = before
