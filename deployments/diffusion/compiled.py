"""Compiled modules: what steps and decodes, as fewer and larger kernels."""

from typing import Any

import torch
from torch import _dynamo as dynamo
from torch.fx.experimental import _config as symbols

from deployments.diffusion.components import SharedComponents
from deployments.diffusion.families import Uses

VARIANTS = 32  # of one block: with and without a mask, a style of modulation, one row or several


def compile_modules(components: SharedComponents, uses: Uses) -> None:
    """Compile the repeated blocks of what denoises, and the decoder of what decodes, in place.

    Nothing is compiled yet: the first call of each pays for it. Sizes are symbols from the start,
    so that a new size or number of rows finds its code ready. A block of which there are more than
    VARIANTS runs as it was written: slower, not wrong.
    """
    symbols.use_duck_shape = False  # else a square first picture makes code for squares alone
    dynamo.config.recompile_limit = max(dynamo.config.recompile_limit, VARIANTS)
    for name in uses["forward"]:
        denoiser: Any = components.modules[name]
        denoiser.compile_repeated_blocks(dynamic=True)
    for name in uses["decode"]:
        decoder: Any = components.modules[name].decoder
        assert isinstance(decoder, torch.nn.Module)
        decoder.compile(dynamic=True)
