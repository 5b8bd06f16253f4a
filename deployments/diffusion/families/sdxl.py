"""SDXL: noise prediction on a UNet; sigmas of a trained schedule, Euler steps, also ancestral ones.

Arithmetic, dtypes and the order of random draws follow diffusers' three SDXL pipelines. Two CLIP
encoders read the prompt. Guidance is classifier-free; rows of one latent size share forwards.
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
from deployments.diffusion.families.parts import DiscreteSchedule, LatentSpace
from deployments.diffusion.families.spellings import sdxl_names
from deployments.diffusion.request import (
    Embedding,
    GenerationParams,
    Inpainting,
    Row,
    Start,
    Work,
)
from deployments.diffusion.styles import StyledLayers
from deployments.diffusion.weights import SharedComponents
from deployments.errors import InvalidValue
from deployments.handover import Given, Reference

PIXELS_PER_TOKEN = 2  # latents per token and side: what a 2 x 2 patch is to a transformer


class SDXL:
    """The family of SDXL and SDXL-Turbo."""

    uses: ClassVar[Uses] = {
        "encode": ("text_encoder", "text_encoder_2"),
        "start": ("vae",),
        "forward": ("unet",),
        "decode": ("vae",),
    }
    guided_above: ClassVar[float] = 1.0
    prompt_sees_references: ClassVar[bool] = False

    def __init__(self, components: SharedComponents, max_prompt_tokens: int) -> None:
        self.components = components
        self.max_prompt_tokens = max_prompt_tokens
        self._space = LatentSpace(components, upcast=components.config("vae").force_upcast)
        self._schedule = DiscreteSchedule.read(components.scheduler_config)
        self._unet: Any = components.modules["unet"]

    @property
    def bounds(self) -> Bounds:
        encoders = (self.components.config(name) for name in self.uses["encode"])
        most = [encoder.max_position_embeddings for encoder in encoders]
        most += [one.model_max_length for one in self.components.tokenizers.values()]
        return Bounds(self._space.factor, min(most))

    def check(self, params: GenerationParams) -> None:
        """Refuse guidance that would change nothing, and a negative prompt without guidance."""
        if 0 < params.guidance_scale < 1:
            raise InvalidValue(
                f"guidance_scale: {params.guidance_scale} would change nothing; SDXL is guided "
                "above 1",
                "guidance_scale",
                "guidance_out_of_range",
            )
        refuse_unread_negative(params, self.guided(params), self.guided_above)

    def guided(self, params: GenerationParams) -> bool:
        """e_negative + w * (e - e_negative)."""
        return params.guidance_scale > self.guided_above

    def styled_layers(self) -> StyledLayers:
        clip = ("lora_te1_", "lora_te_", "text_encoders.clip_l.transformer.", "clip_l.")
        big = ("lora_te2_", "text_encoders.clip_g.transformer.", "clip_g.")
        encoders = {"text_encoder": clip, "text_encoder_2": big}
        names = sdxl_names([name for name, _ in self._unet.named_modules()])
        return StyledLayers.of(self.components.modules, "unet", names, encoders)

    def encode(self, prompt: str, references: Sequence[Reference] = ()) -> EncodedPrompt:
        """The last but one states of both encoders; the second also gives the pooled vector.

        The empty prompt, which is what guidance without a negative prompt draws away from, is
        all zeros where the checkpoint says so (`force_zeros_for_empty_prompt`).
        """
        states = []
        for name in ("", "_2"):
            tokenizer = self.components.tokenizers[f"tokenizer{name}"]
            ids = tokenizer(
                prompt,
                padding="max_length",
                max_length=tokenizer.model_max_length,
                return_tensors="pt",
            )
            refuse_long_prompt(int(ids.attention_mask.sum()), self.max_prompt_tokens)
            encoder: Any = self.components.modules[f"text_encoder{name}"]
            read = encoder(ids.input_ids.to(self.components.device), output_hidden_states=True)
            states.append(read.hidden_states[-2][0])
        tokens, pooled = torch.cat(states, dim=-1), read.text_embeds[0]
        if not prompt and self.components.settings.get("force_zeros_for_empty_prompt", True):
            tokens, pooled = torch.zeros_like(tokens), torch.zeros_like(pooled)
        return EncodedPrompt(Embedding(tokens, pooled), ())

    def start(
        self, params: GenerationParams, given: Given | None, *, tiled: bool = False
    ) -> list[Start]:
        shape = self._space.shape(params)
        sigmas = self._schedule.sigmas(params.num_inference_steps)
        scale = self._schedule.noise_scale(sigmas)
        generators = [torch.Generator().manual_seed(params.seed + i) for i in range(params.n)]
        if given is None or given.picture is None:
            return [Start(sigmas, self._space.noise(shape, g) * scale, None, g) for g in generators]
        executed = self.steps_executed(params.num_inference_steps, params.strength)
        refuse_no_step(params, executed)
        sigmas = sigmas[params.num_inference_steps - executed :]
        moments = self._space.encode(given.picture, tiled=tiled)
        mask = None if given.mask is None else self._space.mask(given.mask, shape)
        starts = []
        for generator in generators:
            # diffusers samples the VAE before it draws the noise: the order decides the picture
            latents = self._space.scaled(moments.sample(generator))
            noise = self._space.noise(shape, generator)
            if mask is not None:
                # the layout that diffusers steps in: in bfloat16 kernels round by it
                latents = latents.contiguous()
            first, inpainting = _noised(latents, noise, sigmas[0]), None
            if mask is not None:
                moments.sample(generator)  # of the masked picture, which only other UNets read
                inpainting = Inpainting(latents, noise, mask)
                if params.strength in (None, 1):
                    first = noise * scale
            starts.append(Start(sigmas, first, inpainting, generator))
        return starts

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        """(x - denoised) / sigma, float32; of predicted noise that is the noise itself."""
        guided = [row for row in rows if row.negative is not None]
        embeddings = [row.embedding for row in rows]
        embeddings += [row.negative for row in guided if row.negative is not None]
        every = [*rows, *guided]
        sigmas = [row.sigmas[row.step] for row in every]
        device, dtype = self.components.device, self.components.dtype
        inputs = [
            row.latents.to(dtype) / (sigma**2 + 1) ** 0.5
            for row, sigma in zip(every, sigmas, strict=True)
        ]
        height, width = (side * self._space.factor for side in rows[0].latents.shape[-2:])
        sizes = [height, width, 0, 0, height, width]  # original, where it was cropped, target
        timesteps = [self._schedule.timestep(sigma.item()) for sigma in sigmas]
        pooled = [embedding.pooled for embedding in embeddings if embedding.pooled is not None]
        with self.components.adapters.worn([row.mix for row in every]):
            outputs = self._unet(
                torch.cat(inputs),
                torch.tensor(timesteps, dtype=torch.float32, device=device),
                encoder_hidden_states=torch.stack([embedding.tokens for embedding in embeddings]),
                added_cond_kwargs={
                    "text_embeds": torch.stack(pooled),
                    "time_ids": torch.tensor([sizes] * len(every)).to(device, dtype),
                },
                return_dict=False,
            )[0]
        predicted = list(torch.split(outputs, 1))
        negatives = iter(predicted[len(rows) :])
        for i, row in enumerate(rows):
            if row.negative is not None:
                away = next(negatives)
                scale = row.request.params.guidance_scale
                predicted[i] = away + scale * (predicted[i] - away)
        return [
            self._derivative(row.latents.float(), output, sigma)
            for row, output, sigma in zip(rows, predicted, sigmas, strict=False)
        ]

    def after_step(self, row: Row, velocity: torch.Tensor) -> None:
        """Ancestral noise, the dtype that diffusers steps in, and inpainting's protected part."""
        if self._schedule.ancestral:
            self._renoise(row, velocity)
        row.latents = row.latents.to(self.components.dtype)
        if row.inpainting is None:
            return
        kept = row.inpainting.latents
        if not row.denoised:
            kept = _noised(kept, row.inpainting.noise, row.sigmas[row.step])
        row.latents = row.inpainting.put_back(row.latents, kept, row.steps_left)

    def latents_of(self, picture: NDArray[np.uint8], *, tiled: bool = False) -> torch.Tensor:
        return self._space.mode(picture, tiled=tiled)

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
        return self._space.decode(latents, tiled=tiled)

    def batch_key(self, start: Start) -> Hashable:
        return ("sdxl", *start.latents.shape[-2:])

    def lengths(
        self, start: Start, embedding: Embedding, negative: Embedding | None
    ) -> tuple[int, ...]:
        image = _image_tokens(tuple(start.latents.shape))
        captions = [embedding] if negative is None else [embedding, negative]
        return tuple(tokens for c in captions for tokens in (image, len(c.tokens)))

    def ignores_picture(self, start: Start) -> bool:
        return False  # it is added to the noise at full strength, whatever sigma is

    def work(self, params: GenerationParams) -> Work:
        captioned = _image_tokens(self._space.shape(params)) + self.max_prompt_tokens
        forwards = self.steps_executed(params.num_inference_steps, params.strength)
        sequences = [captioned] * (2 if self.guided(params) else 1)
        return Work.of(sequences, forwards, params.width * params.height)

    def steps_executed(self, steps: int, strength: float | None) -> int:
        """int(n * s), as diffusers' `get_timesteps`."""
        return steps if strength is None else min(int(steps * strength), steps)

    def _derivative(
        self, latents: torch.Tensor, output: torch.Tensor, sigma: torch.Tensor
    ) -> torch.Tensor:
        if self._schedule.prediction_type == "epsilon":
            denoised = latents - sigma * output
        else:
            denoised = output * (-sigma / (sigma**2 + 1) ** 0.5) + latents / (sigma**2 + 1)
        return (latents - denoised) / sigma

    def _renoise(self, row: Row, velocity: torch.Tensor) -> None:
        """From the Euler step's sigma down to less, and up to it again with new noise.

        The variances add up: down^2 + up^2 = to^2, up^2 = to^2 (from^2 - to^2) / from^2.
        """
        came_from, to = row.sigmas[row.step - 1], row.sigmas[row.step]
        up = (to**2 * (came_from**2 - to**2) / came_from**2) ** 0.5
        down = (to**2 - up**2) ** 0.5
        if row.generator is None:
            raise AssertionError("ancestral rows are started with their generator")
        noise = self._space.noise(tuple(row.latents.shape), row.generator)
        row.latents = row.latents + (down - to) * velocity + noise * up


def _image_tokens(shape: tuple[int, ...]) -> int:
    return shape[-2] * shape[-1] // PIXELS_PER_TOKEN**2


def _noised(latents: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """latents + sigma * noise, in the latents' dtype."""
    return latents + noise * sigma.to(latents.device, latents.dtype)
