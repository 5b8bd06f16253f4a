"""FLUX.2-klein: flow matching on a double-stream transformer that reads pictures beside its prompt.

Arithmetic, dtypes and the order of random draws follow diffusers' two pipelines of the model; what
they lack, a picture redrawn by strength alone, is theirs begun from noised latents. Latents travel
as (1, C, h, w), a token each. References are latents that stay clean, at positions of their own;
inpainting reads the given picture as its first one. Every row has its own positions, so that rows
of all kinds and sizes share forwards.
"""

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
    refuse_unread_negative,
)
from deployments.diffusion.families.parts import FlowSchedule, LatentSpace, flow, placed
from deployments.diffusion.families.spellings import FLUX2
from deployments.diffusion.profile import MAX_REFERENCES
from deployments.diffusion.request import Embedding, GenerationParams, Row, Start, Work
from deployments.diffusion.styles import StyledLayers
from deployments.diffusion.weights import SharedComponents
from deployments.errors import InvalidValue
from deployments.handover import Given, Reference

TRAIN_TIMESTEPS = 1000
MAX_PROMPT_TOKENS = 512  # the longest that the model was trained on
LAYERS = (9, 18, 27)  # of the text encoder, whose states the model reads side by side
PLACE_STEP = 10  # between a picture and the next on the first axis of positions
PATCH = 2  # of the VAE's latents and side, that make one of the loop's


class Flux2Klein:
    """The family of FLUX.2-klein, as a base model and distilled."""

    uses: ClassVar[Uses] = {
        "encode": ("text_encoder",),
        "start": ("vae",),
        "forward": ("transformer",),
        "decode": ("vae",),
    }
    guided_above: ClassVar[float] = 1.0
    prompt_sees_references: ClassVar[bool] = False

    def __init__(self, components: SharedComponents, max_prompt_tokens: int) -> None:
        """`max_prompt_tokens`: every prompt is padded to it, and the padding is read."""
        self.components = components
        self.max_prompt_tokens = max_prompt_tokens
        self._transformer: Any = components.modules["transformer"]
        self._text_encoder: Any = components.modules["text_encoder"]
        self._tokenizer: Any = components.tokenizers["tokenizer"]
        self._space = PatchedSpace(components)
        self._schedule = FlowSchedule.read(components.scheduler_config)
        self._distilled = bool(components.settings.get("is_distilled", False))
        _drop_unread_layers(self._text_encoder)
        placed.use_places(self._transformer)

    @property
    def bounds(self) -> Bounds:
        read = min(MAX_PROMPT_TOKENS, self._text_encoder.config.max_position_embeddings)
        return Bounds(self._space.factor, read, references=MAX_REFERENCES)

    def check(self, params: GenerationParams) -> None:
        """Refuse guidance that changes nothing, and a negative prompt that is not read."""
        if self._distilled and params.guidance_scale > self.guided_above:
            raise InvalidValue(
                "guidance_scale: this model was distilled without guidance; leave it out",
                "guidance_scale",
                "guidance_unsupported",
            )
        if self._distilled and params.negative_prompt is not None:
            raise InvalidValue(
                "negative_prompt: this model was distilled without guidance and reads none; say in "
                "the prompt what should be there",
                "negative_prompt",
                "negative_prompt_unsupported",
            )
        refuse_unread_negative(params, self.guided(params), self.guided_above)

    def guided(self, params: GenerationParams) -> bool:
        """v_negative + w * (v - v_negative)."""
        return params.guidance_scale > self.guided_above and not self._distilled

    def styled_layers(self) -> StyledLayers:
        return StyledLayers.of(self.components.modules, "transformer", FLUX2, {})

    def encode(self, prompt: str, references: Sequence[Reference] = ()) -> EncodedPrompt:
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        tokens = self._tokenizer(
            text, padding="max_length", max_length=self.max_prompt_tokens, return_tensors="pt"
        )
        refuse_long_prompt(tokens.input_ids.shape[1], self.max_prompt_tokens)
        device = self.components.device
        states = self._text_encoder(
            input_ids=tokens.input_ids.to(device),
            attention_mask=tokens.attention_mask.to(device),
            output_hidden_states=True,
            use_cache=False,
        ).hidden_states
        read = torch.cat([states[layer][0] for layer in LAYERS], dim=-1)
        return EncodedPrompt(Embedding(read), ())

    def start(
        self, params: GenerationParams, given: Given | None, *, tiled: bool = False
    ) -> list[Start]:
        shape = self._space.shape(params)
        steps = params.num_inference_steps
        sigmas = self._schedule.sigmas(
            np.linspace(1.0, 1 / steps, steps), _tokens(shape), _shift(_tokens(shape), steps)
        )
        brought = () if given is None else given.references
        references = tuple(self._reference(one.picture, tiled) for one in brought)
        generators = [torch.Generator().manual_seed(params.seed + i) for i in range(params.n)]
        if given is None or given.picture is None:
            count = sum(_tokens(one.shape) for one in references)
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
        latents = self._space.mode(given.picture, tiled=tiled)
        if given.mask is not None:  # what is around the hole is read clean, too
            references = (latents, *references)
        count = sum(_tokens(one.shape) for one in references)
        return [
            flow.from_latents(
                self._space, latents, given.mask, sigmas, generator, references, count
            )
            for generator in generators
        ]

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        device, dtype = self.components.device, self.components.dtype
        guided = [row for row in rows if row.negative is not None]
        captions = [row.embedding.tokens for row in rows]
        captions += [row.negative.tokens for row in guided if row.negative is not None]
        every = [*rows, *guided]
        pictures = [_packed([row.latents.to(dtype), *row.references]) for row in every]
        tokens = torch.nn.utils.rnn.pad_sequence(pictures, batch_first=True)
        if not any(row.references for row in rows):  # laid out as diffusers': float16 rounds by it
            tokens = tokens.mT.contiguous().mT
        sigma = torch.stack([row.sigmas[row.step] for row in every])
        # times the model's and back, as in diffusers: in bfloat16 it rounds
        timestep = (sigma * TRAIN_TIMESTEPS).to(device, dtype) / TRAIN_TIMESTEPS
        nowhere = torch.zeros(0, 4, device=device)  # `places` say where each row's tokens stand
        places = self._places(every, len(captions[0]), tokens.shape[1])
        with self.components.adapters.worn([row.mix for row in every]):
            predicted = self._transformer(
                hidden_states=tokens,
                timestep=timestep,
                encoder_hidden_states=torch.stack(captions),
                txt_ids=nowhere,
                img_ids=nowhere,
                joint_attention_kwargs={"places": places},
                return_dict=False,
            )[0]
        velocities = [
            out[: _tokens(row.latents.shape)].T.reshape(row.latents.shape).contiguous()
            for out, row in zip(predicted, every, strict=True)
        ]
        negatives = iter(velocities[len(rows) :])
        for i, row in enumerate(rows):
            if row.negative is not None:
                away = next(negatives)
                scale = row.request.params.guidance_scale
                velocities[i] = away + scale * (velocities[i] - away)
        return velocities[: len(rows)]

    def _places(self, rows: Sequence[Row], caption: int, longest: int) -> placed.Places:
        """Of `caption` tokens, then a picture's and its references', padded to `longest`."""
        words = torch.zeros(caption, 4)
        words[:, 3] = torch.arange(caption)
        positions = torch.zeros(len(rows), caption + longest, 4)
        seen = torch.zeros(len(rows), caption + longest, dtype=torch.bool)
        for i, row in enumerate(rows):
            grids = [_grid(one.shape, n) for n, one in enumerate((row.latents, *row.references))]
            whole = torch.cat([words, *grids])
            positions[i, : len(whole)] = whole
            seen[i, : len(whole)] = True
        device = self.components.device
        cos, sin = (
            one.view(len(rows), caption + longest, 1, -1)
            for one in self._transformer.pos_embed(positions.flatten(0, 1).to(device))
        )
        mask = None if seen.all() else seen[:, None, None].to(device)
        return placed.Places(cos, sin, mask)

    def after_step(self, row: Row, velocity: torch.Tensor) -> None:
        flow.keep_protected(row)

    def latents_of(self, picture: NDArray[np.uint8], *, tiled: bool = False) -> torch.Tensor:
        return self._space.mode(picture, tiled=tiled)

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
        return self._space.decode(latents.contiguous(), tiled=tiled)

    def batch_key(self, start: Start) -> Hashable:
        return "flux2-klein"

    def lengths(
        self, start: Start, embedding: Embedding, negative: Embedding | None
    ) -> tuple[int, ...]:
        own = _tokens(start.latents.shape)
        captions = [embedding] if negative is None else [embedding, negative]
        return tuple(
            count for c in captions for count in (own, len(c.tokens) + start.reference_tokens)
        )

    def ignores_picture(self, start: Start) -> bool:
        return start.sigmas[0].item() >= 1.0

    def work(self, params: GenerationParams) -> Work:
        side = self._space.factor
        read = sum((width // side) * (height // side) for width, height in params.references)
        tokens = _tokens(self._space.shape(params)) + read + self.max_prompt_tokens
        forwards = self.steps_executed(params.num_inference_steps, params.strength)
        pixels = params.width * params.height + sum(w * h for w, h in params.references)
        return Work.of([tokens] * (2 if self.guided(params) else 1), forwards, pixels)

    def steps_executed(self, steps: int, strength: float | None) -> int:
        return flow.steps_executed(steps, strength)

    def _reference(self, picture: NDArray[np.uint8], tiled: bool) -> torch.Tensor:
        """Its most likely latents, of the middle that is whole latents."""
        side = self._space.factor
        rows, columns = (length // side * side for length in picture.shape[:2])
        top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
        whole = picture[top : top + rows, left : left + columns]
        return self._space.mode(np.ascontiguousarray(whole), tiled=tiled)


class PatchedSpace(LatentSpace):
    """Latents of 2 x 2 of the VAE's, channel by channel, each with its trained mean and deviation.

    factor: pixels per latent and side, the patch included.
    """

    def __init__(self, components: SharedComponents) -> None:
        super().__init__(components)
        vae: Any = components.modules["vae"]
        self._statistics = vae.bn
        self._eps = float(vae.config.batch_norm_eps)
        self._channels *= PATCH**2
        self.factor *= PATCH

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        patched = torch.nn.functional.pixel_unshuffle(latents, PATCH)
        mean, deviation = self._normal(patched)
        return (patched - mean) / deviation

    def unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        mean, deviation = self._normal(latents)
        return torch.nn.functional.pixel_shuffle(latents * deviation + mean, PATCH)

    def _normal(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = self._statistics.running_mean.view(1, -1, 1, 1)
        variance = self._statistics.running_var.view(1, -1, 1, 1)
        deviation = torch.sqrt(variance + self._eps)
        return mean.to(like.device, like.dtype), deviation.to(like.device, like.dtype)


def _shift(tokens: int, steps: int) -> float:
    """mu of the dynamic shift, as of Black Forest Labs' own sampling of FLUX.2: linear in the
    picture's tokens at 10 and at 200 steps, and in the steps between and beyond them; from 4,300
    tokens on as at 200 steps.
    """
    at_200 = 0.00016927 * tokens + 0.45666666
    if tokens > 4300:
        return at_200
    at_10 = 8.73809524e-05 * tokens + 1.89833333
    slope = (at_200 - at_10) / 190.0
    return slope * steps + (at_200 - 200.0 * slope)


def _tokens(shape: Sequence[int]) -> int:
    """Of latents (1, C, h, w): each is one."""
    return shape[-2] * shape[-1]


def _packed(every: Sequence[torch.Tensor]) -> torch.Tensor:
    """Latents (1, C, h, w) as tokens (h * w, C), one after another."""
    return torch.cat([latents[0].flatten(1).T for latents in every])


def _grid(shape: Sequence[int], number: int) -> torch.Tensor:
    """(h * w, 4): which picture, row, column and word each token is."""
    height, width = shape[-2:]
    apart = torch.tensor([number * PLACE_STEP])
    nothing = torch.arange(1)
    return torch.cartesian_prod(apart, torch.arange(height), torch.arange(width), nothing).float()


def _drop_unread_layers(text_encoder: Any) -> None:
    """Free the layers above the last whose states are read.

    One stays in its place, handing on what it gets: the last states go through a norm.
    """
    layers = text_encoder.layers
    del layers[LAYERS[-1] + 1 :]
    last = layers[-1]
    for name in [name for name, _ in last.named_children()]:
        delattr(last, name)
    last.forward = _hand_on


def _hand_on(hidden_states: torch.Tensor, **_: object) -> torch.Tensor:
    return hidden_states
