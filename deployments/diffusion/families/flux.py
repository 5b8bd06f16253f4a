"""FLUX.1: flow matching on a double-stream transformer; guidance is an input, not a second row.

Arithmetic, dtypes and the order of random draws follow diffusers' three FLUX pipelines. T5 reads
the prompt, CLIP gives its summary. Latents travel as (1, C, h, w) and are packed, 2 x 2 to a token,
for the forward alone; rows of one latent size share it. What the modules are given is contiguous,
as in diffusers: in bfloat16 their kernels round by the layout.
"""

import math
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from deployments.diffusion.families.base import (
    Bounds,
    EncodedPrompt,
    Uses,
    refuse_long_prompt,
    refuse_no_step,
)
from deployments.diffusion.families.parts import FlowSchedule, LatentSpace, flow
from deployments.diffusion.families.spellings import FLUX
from deployments.diffusion.request import Embedding, GenerationParams, Row, Start, Work
from deployments.diffusion.styles import StyledLayers
from deployments.diffusion.weights import SharedComponents
from deployments.errors import InvalidValue
from deployments.handover import Given, Reference

TRAIN_TIMESTEPS = 1000
MAX_PROMPT_TOKENS = 512  # the longest that the model was trained on


class Flux:
    """The family of FLUX.1-dev and FLUX.1-schnell."""

    uses: ClassVar[Uses] = {
        "encode": ("text_encoder", "text_encoder_2"),
        "start": ("vae",),
        "forward": ("transformer",),
        "decode": ("vae",),
    }
    guided_above: ClassVar[float] = math.inf  # distilled into the model, which is told its scale
    prompt_sees_references: ClassVar[bool] = False

    def __init__(self, components: SharedComponents, max_prompt_tokens: int) -> None:
        """`max_prompt_tokens`: every prompt is padded to it, and the padding is read."""
        self.components = components
        self.max_prompt_tokens = max_prompt_tokens
        self._transformer: Any = components.modules["transformer"]
        self._clip: Any = components.modules["text_encoder"]
        self._t5: Any = components.modules["text_encoder_2"]
        self._space = LatentSpace(components)
        self._schedule = FlowSchedule.read(components.scheduler_config)
        self._reads_guidance = bool(components.config("transformer").guidance_embeds)

    @property
    def bounds(self) -> Bounds:
        return Bounds(self._space.factor * flow.PATCH, MAX_PROMPT_TOKENS)

    def check(self, params: GenerationParams) -> None:
        """Refuse a negative prompt, and guidance that is not read."""
        if params.negative_prompt is not None:
            raise InvalidValue(
                "negative_prompt: FLUX.1 reads none; say in the prompt what should be there",
                "negative_prompt",
                "negative_prompt_unsupported",
            )
        if params.guidance_scale > 0 and not self._reads_guidance:
            raise InvalidValue(
                "guidance_scale: this model was distilled without guidance; leave it out",
                "guidance_scale",
                "guidance_unsupported",
            )

    def guided(self, params: GenerationParams) -> bool:
        """Never."""
        return params.guidance_scale > self.guided_above

    def styled_layers(self) -> StyledLayers:
        clip = ("lora_te_", "lora_te1_", "text_encoders.clip_l.transformer.", "clip_l.")
        t5 = ("lora_te2_", "lora_te3_", "text_encoders.t5xxl.transformer.", "t5xxl.")
        encoders = {"text_encoder": clip, "text_encoder_2": t5}
        return StyledLayers.of(self.components.modules, "transformer", FLUX, encoders)

    def encode(self, prompt: str, references: Sequence[Reference] = ()) -> EncodedPrompt:
        device = self.components.device
        t5_tokenizer = self.components.tokenizers["tokenizer_2"]
        ids = t5_tokenizer(
            prompt, padding="max_length", max_length=self.max_prompt_tokens, return_tensors="pt"
        ).input_ids
        refuse_long_prompt(ids.shape[1], self.max_prompt_tokens)
        tokens = self._t5(ids.to(device), output_hidden_states=False)[0][0]
        clip_tokenizer = self.components.tokenizers["tokenizer"]
        most = clip_tokenizer.model_max_length
        count = len(clip_tokenizer(prompt, verbose=False).input_ids)
        summary = clip_tokenizer(
            prompt, padding="max_length", max_length=most, truncation=True, return_tensors="pt"
        )
        pooled = self._clip(summary.input_ids.to(device)).pooler_output[0]
        warning = f"prompt: its summary is made of the first {most} of its {count} tokens"
        return EncodedPrompt(Embedding(tokens, pooled), (warning,) if count > most else ())

    def start(
        self, params: GenerationParams, given: Given | None, *, tiled: bool = False
    ) -> list[Start]:
        shape = self._space.shape(params)
        even = np.linspace(1.0, 1 / params.num_inference_steps, params.num_inference_steps)
        sigmas = self._schedule.sigmas(even, flow.image_tokens(shape))
        generators = [torch.Generator().manual_seed(params.seed + i) for i in range(params.n)]
        if given is None or given.picture is None:
            return [Start(sigmas, self._space.noise(shape, generator)) for generator in generators]
        executed = self.steps_executed(params.num_inference_steps, params.strength)
        refuse_no_step(params, executed)
        sigmas = sigmas[params.num_inference_steps - executed :]
        moments = self._space.encode(given.picture, tiled=tiled)
        return flow.from_moments(self._space, moments, given.mask, sigmas, generators)

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        device, dtype = self.components.device, self.components.dtype
        latents = torch.cat([row.latents.to(dtype) for row in rows])
        height, width = latents.shape[-2] // flow.PATCH, latents.shape[-1] // flow.PATCH
        sigma = torch.stack([row.sigmas[row.step] for row in rows])
        # times the model's and back, as in diffusers: in bfloat16 it rounds
        timestep = (sigma * TRAIN_TIMESTEPS).to(device, dtype) / TRAIN_TIMESTEPS
        scales = [row.request.params.guidance_scale for row in rows]
        pooled = [row.embedding.pooled for row in rows if row.embedding.pooled is not None]
        captions = torch.stack([row.embedding.tokens for row in rows])
        with self.components.adapters.worn([row.mix for row in rows]):
            predicted = self._transformer(
                hidden_states=flow.pack(latents),
                timestep=timestep,
                guidance=torch.tensor(scales, dtype=torch.float32, device=device)
                if self._reads_guidance
                else None,
                pooled_projections=torch.stack(pooled),
                encoder_hidden_states=captions,
                txt_ids=torch.zeros(captions.shape[1], 3, device=device, dtype=dtype),
                img_ids=_positions(height, width).to(device, dtype),
                return_dict=False,
            )[0]
        return list(torch.split(flow.unpack(predicted, latents.shape), 1))

    def after_step(self, row: Row, velocity: torch.Tensor) -> None:
        flow.keep_protected(row)

    def latents_of(self, picture: NDArray[np.uint8], *, tiled: bool = False) -> torch.Tensor:
        return self._space.mode(picture, tiled=tiled)

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
        return self._space.decode(latents.contiguous(), tiled=tiled)

    def batch_key(self, start: Start) -> Hashable:
        return ("flux", *start.latents.shape[-2:])  # positions are one table for all rows

    def lengths(
        self, start: Start, embedding: Embedding, negative: Embedding | None
    ) -> tuple[int, ...]:
        return (flow.image_tokens(tuple(start.latents.shape)), len(embedding.tokens))

    def ignores_picture(self, start: Start) -> bool:
        return start.sigmas[0].item() >= 1.0

    def work(self, params: GenerationParams) -> Work:
        tokens = flow.image_tokens(self._space.shape(params)) + self.max_prompt_tokens
        forwards = self.steps_executed(params.num_inference_steps, params.strength)
        return Work.of([tokens], forwards, params.width * params.height)

    def steps_executed(self, steps: int, strength: float | None) -> int:
        return flow.steps_executed(steps, strength)


def _positions(height: int, width: int) -> torch.Tensor:
    """(height * width, 3): each token's 0, row and column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).flatten(0, 1)
