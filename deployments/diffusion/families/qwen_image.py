"""Qwen-Image: flow matching on a double-stream transformer, with true guidance.

Arithmetic, dtypes and the order of random draws follow diffusers' pipelines of the model. Latents
travel as (1, C, h, w), one frame of a film, and are packed, 2 x 2 to a token, for the forward
alone. Every row has its own positions on three axes, its caption behind its pictures, so that rows
of all kinds and sizes share forwards.
"""

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from deployments.diffusion.families.base import (
    Bounds,
    EncodedPrompt,
    Uses,
    refuse_long_prompt,
    refuse_no_step,
    refuse_unread_negative,
)
from deployments.diffusion.families.parts import FlowSchedule, OneFrameSpace, flow, placed
from deployments.diffusion.request import Embedding, GenerationParams, Row, Start, Work
from deployments.diffusion.styles import StyledLayers
from deployments.diffusion.weights import SharedComponents
from deployments.handover import Given, Reference

TRAIN_TIMESTEPS = 1000
MAX_PROMPT_TOKENS = 1024  # the longest that diffusers' pipelines read
USUAL_PROMPT_TOKENS = 64
THETA = 10000.0  # of the rotations
SYSTEM = (
    "Describe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:"
)


class QwenImage:
    """The family of Qwen-Image."""

    uses: ClassVar[Uses] = {
        "encode": ("text_encoder",),
        "start": ("vae",),
        "forward": ("transformer",),
        "decode": ("vae",),
    }
    guided_above: ClassVar[float] = 1.0
    prompt_sees_references: ClassVar[bool] = False

    def __init__(self, components: SharedComponents, max_prompt_tokens: int) -> None:
        """`max_prompt_tokens`: of what stands behind the template's own beginning."""
        self.components = components
        self.max_prompt_tokens = max_prompt_tokens
        self._transformer: Any = components.modules["transformer"]
        self._text_encoder: Any = components.modules["text_encoder"]
        self._tokenizer: Any = components.tokenizers["tokenizer"]
        self._space = OneFrameSpace(components)
        self._schedule = FlowSchedule.read(components.scheduler_config)
        self._axes = tuple(components.config("transformer").axes_dims_rope)
        placed.use_places(self._transformer)
        self._drop_unread()

    def _drop_unread(self) -> None:
        """Free what the text encoder sees pictures by: there are none."""
        del self._text_encoder.visual

    @property
    def bounds(self) -> Bounds:
        positions = self._text_encoder.config.text_config.max_position_embeddings
        return Bounds(self._space.factor * flow.PATCH, min(MAX_PROMPT_TOKENS, positions))

    def check(self, params: GenerationParams) -> None:
        refuse_unread_negative(params, self.guided(params), self.guided_above)

    def guided(self, params: GenerationParams) -> bool:
        """v_negative + w * (v - v_negative), each token as long as that of v."""
        return params.guidance_scale > self.guided_above

    def styled_layers(self) -> StyledLayers:
        return StyledLayers.of(self.components.modules, "transformer", {}, {})

    def encode(self, prompt: str, references: Sequence[Reference] = ()) -> EncodedPrompt:
        before, after = template(SYSTEM)
        tokens, begin = self._tokens(before, prompt + after)
        read = self._text_encoder(
            input_ids=tokens.to(self.components.device),
            attention_mask=torch.ones_like(tokens).to(self.components.device),
            use_cache=False,
        ).last_hidden_state
        return EncodedPrompt(Embedding(read[0, begin:]), ())

    def _tokens(self, before: str, said: str) -> tuple[torch.Tensor, int]:
        """(1, L), and where those of what is said begin. Raises InvalidValue for too many."""
        begin = len(self._tokenizer(before).input_ids)
        tokens: torch.Tensor = self._tokenizer(before + said, return_tensors="pt").input_ids
        refuse_long_prompt(tokens.shape[1] - begin, self.max_prompt_tokens)
        return tokens, begin

    def start(
        self, params: GenerationParams, given: Given | None, *, tiled: bool = False
    ) -> list[Start]:
        shape = self._space.shape(params)
        steps = params.num_inference_steps
        even = np.linspace(1.0, 1 / steps, steps)
        sigmas = self._schedule.sigmas(even, flow.image_tokens(shape))
        brought = () if given is None else given.references
        references = tuple(self._reference(one.picture, tiled) for one in brought)
        count = sum(flow.image_tokens(one.shape) for one in references)
        generators = [torch.Generator().manual_seed(params.seed + i) for i in range(params.n)]
        if given is None or given.picture is None:
            return [
                Start(
                    sigmas,
                    self._space.noise(shape, generator),
                    references=references,
                    reference_tokens=count,
                )
                for generator in generators
            ]
        executed = self.steps_executed(steps, params.strength)
        refuse_no_step(params, executed)
        sigmas = sigmas[steps - executed :]
        moments = self._space.encode(given.picture, tiled=tiled)
        return flow.from_moments(
            self._space, moments, given.mask, sigmas, generators, references, count
        )

    def _reference(self, picture: NDArray[np.uint8], tiled: bool) -> torch.Tensor:
        """Its most likely latents, in the size that the model reads pictures in."""
        return self._space.mode(picture, tiled=tiled)

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        device, dtype = self.components.device, self.components.dtype
        guided = [row for row in rows if row.negative is not None]
        captions = [row.embedding.tokens for row in rows]
        captions += [row.negative.tokens for row in guided if row.negative is not None]
        every = [*rows, *guided]
        pictures = [
            torch.cat([flow.pack(one)[0] for one in (row.latents.to(dtype), *row.references)])
            for row in every
        ]
        own = [flow.image_tokens(row.latents.shape) for row in every]
        tokens, words = (pad_sequence(one, batch_first=True) for one in (pictures, captions))
        sigma = torch.stack([row.sigmas[row.step] for row in every])
        # times the model's and back, as in diffusers: in bfloat16 it rounds
        timestep = (sigma * TRAIN_TIMESTEPS).to(device, dtype) / TRAIN_TIMESTEPS
        places = self._places(every, [len(one) for one in captions])
        with self.components.adapters.worn([row.mix for row in every]):
            predicted = self._transformer(
                hidden_states=tokens,
                timestep=timestep,
                encoder_hidden_states=words,
                img_shapes=[_drawn_and_read(count, tokens.shape[1]) for count in own],
                attention_kwargs={"places": places},
                return_dict=False,
            )[0]
        velocities = [out[:count] for out, count in zip(predicted, own, strict=True)]
        negatives = iter(velocities[len(rows) :])
        for i, row in enumerate(rows):
            if row.negative is not None:
                scale = row.request.params.guidance_scale
                velocities[i] = _guided(velocities[i], next(negatives), scale)
        return [
            flow.unpack(velocity[None], row.latents.shape)
            for velocity, row in zip(velocities, rows, strict=False)
        ]

    def _places(self, rows: Sequence[Row], words: Sequence[int]) -> placed.Places:
        """Of each row's caption, of so many words, and of its pictures, each padded to the longest.

        Words count on, on all axes, from the side of the largest picture.
        """
        pictures = [
            [_grid(one.shape, number) for number, one in enumerate((row.latents, *row.references))]
            for row in rows
        ]
        longest = max(words)
        length = longest + max(sum(map(len, grids)) for grids in pictures)
        positions = torch.zeros(len(rows), length, len(self._axes))
        own = tuple(
            (count, sum(map(len, grids))) for count, grids in zip(words, pictures, strict=True)
        )
        for i, (row, grids, count) in enumerate(zip(rows, pictures, words, strict=True)):
            sides = [side for one in (row.latents, *row.references) for side in one.shape[-2:]]
            first = max(sides) // flow.PATCH // 2
            grid = torch.cat(grids)
            positions[i, :count] = torch.arange(first, first + count)[:, None].float()
            positions[i, longest : longest + len(grid)] = grid
        turns = self._turns(positions).to(self.components.device)
        return placed.Places(turns, None, own=own if len(set(own)) > 1 else None)

    def _turns(self, positions: torch.Tensor) -> torch.Tensor:
        """Of positions (B, L, axes), complex64 (B, L, 1, D/2)."""
        angles = []
        for axis, size in enumerate(self._axes):
            slowness = torch.pow(THETA, torch.arange(0, size, 2).float() / size)
            angles.append(positions[..., axis, None] * (1.0 / slowness))
        every = torch.cat(angles, dim=-1).unsqueeze(2)
        return torch.polar(torch.ones_like(every), every)

    def after_step(self, row: Row, velocity: torch.Tensor) -> None:
        flow.keep_protected(row)

    def latents_of(self, picture: NDArray[np.uint8], *, tiled: bool = False) -> torch.Tensor:
        return self._space.mode(picture, tiled=tiled)

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
        return self._space.decode(latents.contiguous(), tiled=tiled)

    def batch_key(self, start: Start) -> Hashable:
        return "qwen-image"

    def lengths(
        self, start: Start, embedding: Embedding, negative: Embedding | None
    ) -> tuple[int, ...]:
        own = flow.image_tokens(start.latents.shape)
        captions = [embedding] if negative is None else [embedding, negative]
        return tuple(
            count for c in captions for count in (own, len(c.tokens) + start.reference_tokens)
        )

    def ignores_picture(self, start: Start) -> bool:
        return start.sigmas[0].item() >= 1.0

    def work(self, params: GenerationParams) -> Work:
        tokens = flow.image_tokens(self._space.shape(params)) + self._usual_words
        forwards = self.steps_executed(params.num_inference_steps, params.strength)
        sequences = [tokens] * (2 if self.guided(params) else 1)
        return Work.of(sequences, forwards, params.width * params.height)

    @property
    def _usual_words(self) -> int:
        """Tokens of a prompt that is not read yet."""
        return min(USUAL_PROMPT_TOKENS, self.max_prompt_tokens)

    def steps_executed(self, steps: int, strength: float | None) -> int:
        return flow.steps_executed(steps, strength)


def template(system: str) -> tuple[str, str]:
    """What the text encoder reads before a prompt and behind it."""
    before = f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n"
    return before, "<|im_end|>\n<|im_start|>assistant\n"


def _guided(velocity: torch.Tensor, away: torch.Tensor, scale: float) -> torch.Tensor:
    """The guided velocity (tokens, C), with the norms of the one that follows the prompt."""
    guided = away + scale * (velocity - away)
    wanted, is_now = (torch.norm(one, dim=-1, keepdim=True) for one in (velocity, guided))
    rescaled: torch.Tensor = guided * (wanted / is_now)
    return rescaled


def _drawn_and_read(drawn: int, length: int) -> list[tuple[int, int, int]]:
    """How many tokens of a row are drawn, and how many only read, as the transformer is told it."""
    return [(1, 1, drawn), (1, 1, length - drawn)]


def _grid(shape: Sequence[int], number: int) -> torch.Tensor:
    """(tokens, 3): which picture, row and column each token is, the last two from the middle."""
    height, width = (side // flow.PATCH for side in shape[-2:])
    rows = torch.arange(height) - (height - height // 2)
    columns = torch.arange(width) - (width - width // 2)
    return torch.cartesian_prod(torch.tensor([number]), rows, columns).float()
