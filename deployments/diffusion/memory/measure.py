"""What a plan is made from: the weights of a model, and what each phase takes beside them.

The same phases run on meta tensors, where shapes alone are followed, and on a CUDA device.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from deployments.diffusion.families import Family, may_guide, plan_passes
from deployments.diffusion.memory.card import CUDA_CONTEXT
from deployments.diffusion.memory.figures import Component, Figures, Line, Role, Weights
from deployments.diffusion.memory.gauge import Gauge
from deployments.diffusion.memory.residency import blocks_of, fp8_layers
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import Embedding, GenerationParams, Request, Row, Terms
from deployments.diffusion.sizes import parse_size
from deployments.diffusion.weights import ModelRefused, SharedComponents
from deployments.errors import InvalidValue
from deployments.handover import Given, Reference


def take_figures(
    profile: DiffusionProfile, family: Family, gauge: Gauge, dropped: int = 0
) -> Figures:
    """Weigh the components and run every phase under the gauge.

    Pictures of the default size and of half its sides are drawn; between and beyond them memory
    grows linearly. Whatever does not fit the device raises torch.OutOfMemoryError.
    """
    prompt, embedding, encode = _longest_prompt(profile, family, gauge)
    width, height = parse_size(profile.sizes.default)
    sizes = [(width, height), _on_grid(profile, width // 2, height // 2)]
    areas = [width * height for width, height in sizes]
    rows = [_row(profile, family, prompt, embedding, size) for size in sizes]

    def line(counts: Sequence[int], works: Sequence[Callable[[], object]]) -> Line:
        return Line.over(counts, [gauge.run(work)[1] for work in works])

    largest = _on_grid(profile, profile.sizes.max_side, profile.sizes.max_side)
    longest = _row(profile, family, prompt, embedding, largest)
    decode = [partial(family.decode, row.latents) for row in rows]
    in_tiles = [partial(family.decode, row.latents, tiled=True) for row in rows]
    pictures = [np.zeros((height, width, 3), np.uint8) for width, height in sizes]
    encode_picture = [partial(family.latents_of, picture) for picture in pictures]
    encode_in_tiles = [partial(family.latents_of, picture, tiled=True) for picture in pictures]
    tokens = [row.tokens for row in rows]
    brought = [_brought(profile, family, row) for row in (*rows, longest)]
    every = [*areas, largest[0] * largest[1]]
    return Figures(
        components=weigh(family.components),
        encode=encode,
        forward=line(tokens, [partial(family.velocity, [row]) for row in rows]),
        decode=line(areas, decode),
        tiled_decode=line(areas, in_tiles),
        encode_picture=line(areas, encode_picture),
        tiled_encode_picture=line(areas, encode_in_tiles),
        picture_tokens=Line.over(every, [*tokens, longest.tokens]),
        brought_tokens=Line.over(every, [one.tokens for one in brought]),
        kept=kept_bytes(profile, family, longest, brought[-1].bytes),
        dropped=dropped,
        basis=gauge.basis,
    )


def weigh(components: SharedComponents) -> tuple[Component, ...]:
    """Bytes of every component in each storage."""
    return tuple(
        Component(name, _role(name), _weights(module), _fp8_weights(module))
        for name, module in components.modules.items()
    )


def kept_bytes(
    profile: DiffusionProfile, family: Family, row: Row, brought: int = 0
) -> dict[str, int]:
    """What is held beside the weights in every phase; `row`: the largest picture's; brought: bytes
    of the references that one may bring.
    """
    engine = profile.engine
    # Running rows of both priorities, and those that wait for their decode.
    places = 3 * max(engine.max_running, profile.max_n)
    latents = 3 * row.latents.nbytes  # with the source and the noise of inpainting
    embeddings = row.embedding.nbytes * (2 if may_guide(profile) else 1)
    kept = {
        "embedding cache": engine.embedding_cache_bytes,
        "requests on their way": places * (latents + embeddings + brought),
    }
    if profile.styles:
        kept["styles"] = bytes_of(family.components.adapters)
    if engine.added_styles_bytes:
        kept["added styles"] = engine.added_styles_bytes
    return kept if profile.model.device == "cpu" else {**kept, "CUDA context": CUDA_CONTEXT}


def _on_grid(profile: DiffusionProfile, width: int, height: int) -> tuple[int, int]:
    """The next smaller size that the profile's grid has."""
    grid = profile.sizes.multiple
    return max(width // grid, 1) * grid, max(height // grid, 1) * grid


def _longest_prompt(
    profile: DiffusionProfile, family: Family, gauge: Gauge
) -> tuple[str, Embedding, int]:
    """The longest prompt that is read, its embedding, and what encoding it takes."""
    most = profile.engine.max_prompt_tokens
    for words in range(most, 0, -1):
        prompt = " ".join(["a"] * words)
        with suppress(InvalidValue):
            encoding, peak = gauge.run(partial(family.encode, prompt))
            return prompt, encoding.embedding, peak
    raise ModelRefused(f"engine.max_prompt_tokens: {most} hold no word")


def _row(
    profile: DiffusionProfile,
    family: Family,
    prompt: str,
    embedding: Embedding,
    size: tuple[int, int],
) -> Row:
    """A picture of pure noise before its first step."""
    params = GenerationParams(prompt, *size, num_inference_steps=1, seed=0)
    passes = plan_passes(params, profile, family)
    with torch.inference_mode():
        (start,) = family.start(params, None)
    return Row(
        request=Request("plan", params, None, Terms(), passes),
        sigmas=start.sigmas,
        latents=start.latents,
        embedding=embedding,
        negative=None,
        inpainting=start.inpainting,
        lengths=family.lengths(start, embedding, None),
        batch_key=family.batch_key(start),
        passes=passes,
    )


class _Brought(NamedTuple):
    """What the most that a picture may bring adds to its forwards, and what of it is held."""

    tokens: int
    bytes: int


def _brought(profile: DiffusionProfile, family: Family, row: Row) -> _Brought:
    """Of an edit with a mask and all references at their largest, at the row's size."""
    if profile.references is None:
        return _Brought(0, 0)
    grid = family.bounds.multiple
    side = math.isqrt(profile.references.max_pixels) // grid * grid
    params = replace(row.request.params, strength=1.0)
    canvas = np.zeros((params.height, params.width, 3), np.uint8)
    reference = Reference(np.zeros((side, side, 3), np.uint8))
    given = Given(
        canvas,
        np.ones(canvas.shape[:2], np.bool_),
        references=(reference,) * profile.references.most,
    )
    with torch.inference_mode():
        (start,) = family.start(params.bringing(given), given)
    tokens = sum(family.lengths(start, row.embedding, None)) - row.tokens
    held = sum(one.nbytes for one in start.references)
    if family.prompt_sees_references:  # which makes the prompt longer: by what work is predicted of
        alone, reading = (family.work(one).token_steps for one in (params, params.bringing(given)))
        seen = reading - alone - start.reference_tokens
        tokens += seen
        held += row.embedding.nbytes // len(row.embedding.tokens) * seen
    return _Brought(tokens, held)


def _role(name: str) -> Role:
    if name.startswith("text_encoder"):
        return "text_encoder"
    return "vae" if name == "vae" else "denoiser"


def _weights(module: torch.nn.Module) -> Weights:
    blocks = [bytes_of(block) for block in blocks_of(module).values()]
    return Weights(bytes_of(module), sum(blocks), max(blocks, default=0))


def _fp8_weights(module: torch.nn.Module) -> Weights:
    blocks, saved, cast = [], 0, 0
    layers = fp8_layers(module)
    for name, block in blocks_of(module).items():
        matrices = [layer.weight for layer in layers[name]]
        less = sum(m.nbytes - m.numel() for m in matrices)  # one byte a value is left
        cast = max([cast, *(m.nbytes for m in matrices)])
        blocks.append(bytes_of(block) - less)
        saved += less
    return Weights(bytes_of(module) - saved + cast, sum(blocks), max(blocks, default=0))


def bytes_of(module: torch.nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
