"""Z-Image: flow matching on a single-stream transformer; shifted sigmas, Euler steps.

Arithmetic, dtypes and the order of random draws follow diffusers' three Z-Image pipelines, so that
a picture equals theirs to within rounding; what differs is that rows of any kind share forwards.
"""

from collections.abc import Hashable, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.utils.torch_utils import randn_tensor
from numpy.typing import NDArray

from deployments.diffusion.components import SharedComponents
from deployments.diffusion.cost import Work
from deployments.diffusion.families import Encoding, Uses
from deployments.diffusion.families.tiling import tiles
from deployments.diffusion.params import GenerationParams
from deployments.diffusion.request import Generation, Source, Start
from deployments.errors import InvalidValue
from deployments.handover import Fitted

SEQUENCE_MULTIPLE = 32  # the transformer pads image and caption tokens to multiples of this
PATCH = 2
TRAIN_TIMESTEPS = 1000


class ZImage:
    """The family of Z-Image, Z-Image-Turbo and the embedded model."""

    uses: ClassVar[Uses] = {
        "encode": ("text_encoder",),
        "start": ("vae",),
        "forward": ("transformer",),
        "decode": ("vae",),
    }

    def __init__(self, components: SharedComponents, max_prompt_tokens: int) -> None:
        self.components = components
        self.max_prompt_tokens = max_prompt_tokens
        self._transformer: Any = components.modules["transformer"]
        self._text_encoder: Any = components.modules["text_encoder"]
        self._vae: Any = components.modules["vae"]
        self._pixels_per_latent = 2 ** (len(self._config.block_out_channels) - 1)
        self._shift = float(components.scheduler_config["shift"])

    @property
    def _config(self) -> Any:
        return self._vae.config

    def encode(self, prompt: str) -> Encoding:
        tokenizer = self.components.tokenizer
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=True,
        )
        # Padded in multiples, not to 512: the same embedding to the bit, many times cheaper.
        tokens = tokenizer(
            [text],
            return_tensors="pt",
            return_offsets_mapping=True,
            padding=True,
            pad_to_multiple_of=SEQUENCE_MULTIPLE,
        )
        real = tokens.attention_mask[0].bool()
        count = int(real.sum())
        if count > self.max_prompt_tokens:
            raise InvalidValue(
                f"prompt: {count} tokens are more than the {self.max_prompt_tokens} that the model "
                "reads; shorten it",
                "prompt",
                "prompt_too_long",
            )
        device = self.components.device
        hidden = self._text_encoder(
            input_ids=tokens.input_ids.to(device),
            attention_mask=real[None].to(device),
            output_hidden_states=True,
        ).hidden_states[-2][0]
        unknown = tokens.input_ids[0] == tokenizer.unk_token_id
        spans = tokens.offset_mapping[0][unknown].tolist()
        words = sorted({text[begin:end] for begin, end in spans})
        warning = f"prompt: the model does not know {', '.join(map(repr, words))}"
        return Encoding(hidden[real.to(device)], (warning,) if words else ())

    def start(self, params: GenerationParams, given: Fitted | None) -> list[Start]:
        sigmas = self._sigmas(params.num_inference_steps)
        shape = (
            1,
            self._transformer.in_channels,
            params.height // self._pixels_per_latent,
            params.width // self._pixels_per_latent,
        )
        generators = [torch.Generator().manual_seed(params.seed + i) for i in range(params.n)]
        if given is None:
            return [Start(sigmas, self._noise(shape, g, torch.float32)) for g in generators]
        strength = 1.0 if params.strength is None else params.strength
        executed = self.steps_executed(params.num_inference_steps, strength)
        if executed == 0:
            raise InvalidValue(
                f"strength: {strength} runs no step of {params.num_inference_steps}; raise it",
                "strength",
                "strength_runs_no_step",
            )
        sigmas = sigmas[params.num_inference_steps - executed :]
        moments = self._vae.encode(self._pixels(given.picture)).latent_dist
        mask = None if given.mask is None else self._latent_mask(given.mask, shape)
        return [self._noised(moments, sigmas, mask, generator) for generator in generators]

    def velocity(self, rows: Sequence[Generation]) -> list[torch.Tensor]:
        guided = [row for row in rows if row.negative is not None]
        captions = [row.embedding for row in rows]
        captions += [row.negative for row in guided if row.negative is not None]
        every = [*rows, *guided]
        sigma = torch.stack([row.sigmas[row.step] for row in every])
        timestep = (TRAIN_TIMESTEPS - sigma * TRAIN_TIMESTEPS) / TRAIN_TIMESTEPS
        towards_picture = self._transformer(
            [row.latents[0].to(self.components.dtype).unsqueeze(1) for row in every],
            timestep.to(self.components.device),
            captions,
            return_dict=False,
        )[0]
        velocities = [v.float().transpose(0, 1) for v in towards_picture]
        negatives = iter(velocities[len(rows) :])
        for i, row in enumerate(rows):
            if row.negative is not None:
                scale = row.request.params.guidance_scale
                velocities[i] = velocities[i] + scale * (velocities[i] - next(negatives))
        return [-v for v in velocities[: len(rows)]]

    def after_step(self, row: Generation) -> None:
        if row.source is None:
            return
        kept = row.source.latents
        if not row.denoised:
            kept = _mix(kept, row.source.noise, row.sigmas[row.step])
        row.latents = (1 - row.source.mask) * kept + row.source.mask * row.latents

    def latents_of(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        return self._scaled(self._vae.encode(self._pixels(picture)).latent_dist.mode())

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
        config = self._config
        scaled = latents.to(self.components.dtype) / config.scaling_factor + config.shift_factor
        with tiles(self._vae, scaled) if tiled else nullcontext():
            image = self._vae.decode(scaled, return_dict=False)[0][0]
        image = (image * 0.5 + 0.5).clamp(0, 1).permute(1, 2, 0).float().cpu().numpy()
        picture: NDArray[np.uint8] = (image * 255).round().astype(np.uint8)
        return picture

    def batch_key(self, start: Start) -> Hashable:
        return "z-image"

    def lengths(
        self, start: Start, embedding: torch.Tensor, negative: torch.Tensor | None
    ) -> tuple[int, ...]:
        height, width = start.latents.shape[-2:]
        image = _padded(height // PATCH * (width // PATCH))
        captions = [embedding] if negative is None else [embedding, negative]
        return tuple(tokens for c in captions for tokens in (image, _padded(len(c))))

    def ignores_picture(self, start: Start) -> bool:
        return start.sigmas[0].item() >= 1.0

    def work(self, params: GenerationParams) -> Work:
        pixels = params.width * params.height
        patches = pixels // (self._pixels_per_latent * PATCH) ** 2
        captioned = _padded(patches) + SEQUENCE_MULTIPLE
        forwards = self.steps_executed(params.num_inference_steps, params.strength)
        return Work(captioned * forwards * (2 if params.guidance_scale > 0 else 1), pixels)

    def steps_executed(self, steps: int, strength: float | None) -> int:
        """n - int(n - n * s), as diffusers' `get_timesteps`."""
        if strength is None:
            return steps
        return steps - int(max(steps - min(steps * strength, steps), 0))

    def _sigmas(self, steps: int) -> torch.Tensor:
        """Shifted sigmas, s * u / (1 + (s - 1) * u) for u from 1 to 1/steps, then 0.

        Float32 arithmetic in numpy, as FlowMatchEulerDiscreteScheduler.set_timesteps.
        """
        u = np.array(torch.linspace(1.0, 1 / steps, steps).tolist()).astype(np.float32)
        shifted = self._shift * u / (1 + (self._shift - 1) * u)
        return torch.cat([torch.from_numpy(shifted), torch.zeros(1)])

    def _noise(
        self, shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype
    ) -> torch.Tensor:
        """Drawn on the CPU, so that a seed gives the same picture on every device."""
        noise: torch.Tensor = randn_tensor(
            shape, generator=generator, device=self.components.device, dtype=dtype
        )
        return noise

    def _noised(
        self,
        moments: DiagonalGaussianDistribution,
        sigmas: torch.Tensor,
        mask: torch.Tensor | None,
        generator: torch.Generator,
    ) -> Start:
        # diffusers samples the VAE before it draws the noise: the order decides the picture
        latents = self._scaled(moments.sample(generator))
        noise = self._noise(tuple(latents.shape), generator, self.components.dtype)
        source = None if mask is None else Source(latents, noise, mask)
        return Start(sigmas, _mix(latents, noise, sigmas[0]), source)

    def _scaled(self, latents: torch.Tensor) -> torch.Tensor:
        scaled: torch.Tensor = (latents - self._config.shift_factor) * self._config.scaling_factor
        return scaled

    def _pixels(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        """uint8 (H, W, 3) to (1, 3, H, W) in -1..1."""
        pixels = torch.from_numpy(picture[None].astype(np.float32) / 255).permute(0, 3, 1, 2)
        return (2.0 * pixels - 1.0).to(self.components.device, self.components.dtype)

    def _latent_mask(self, mask: NDArray[np.bool_], shape: tuple[int, ...]) -> torch.Tensor:
        """bool (H, W) to (1, 1, h, w), 1 where to repaint."""
        full = torch.from_numpy(mask.astype(np.float32))[None, None]
        small = torch.nn.functional.interpolate(full, size=shape[-2:], mode="nearest")
        return small.to(self.components.device, self.components.dtype)


def _mix(latents: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The flow-matching path: sigma * noise + (1 - sigma) * latents, in the latents' dtype."""
    at = sigma.to(latents.device, latents.dtype)
    return at * noise + (1.0 - at) * latents


def _padded(tokens: int) -> int:
    return -(-tokens // SEQUENCE_MULTIPLE) * SEQUENCE_MULTIPLE
