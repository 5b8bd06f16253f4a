"""Z-Image: flow matching on a single-stream transformer; shifted sigmas, Euler steps.

Arithmetic, dtypes and the order of random draws follow diffusers' three Z-Image pipelines, so that
a picture equals theirs to within rounding; what differs is that rows of any kind share forwards.
"""

from collections.abc import Hashable, Sequence
from itertools import accumulate
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
from deployments.diffusion.families.parts import FlowSchedule, LatentSpace, flow
from deployments.diffusion.families.spellings import Z_IMAGE
from deployments.diffusion.request import Embedding, GenerationParams, Row, Start, Work
from deployments.diffusion.styles import StyledLayers
from deployments.diffusion.weights import SharedComponents
from deployments.handover import Given, Reference

SEQUENCE_MULTIPLE = 32  # the transformer pads image and caption tokens to multiples of this
TRAIN_TIMESTEPS = 1000
NAMED_WORDS = 12  # of those that are not known; a warning also travels in a header


class ZImage:
    """The family of Z-Image, Z-Image-Turbo and the embedded model."""

    uses: ClassVar[Uses] = {
        "encode": ("text_encoder",),
        "start": ("vae",),
        "forward": ("transformer",),
        "decode": ("vae",),
    }
    guided_above: ClassVar[float] = 0.0
    prompt_sees_references: ClassVar[bool] = False

    def __init__(self, components: SharedComponents, max_prompt_tokens: int) -> None:
        self.components = components
        self.max_prompt_tokens = max_prompt_tokens
        self._transformer: Any = components.modules["transformer"]
        self._text_encoder: Any = components.modules["text_encoder"]
        self._tokenizer: Any = components.tokenizers["tokenizer"]
        self._space = LatentSpace(components)
        self._schedule = FlowSchedule.read(components.scheduler_config)
        _drop_last_layer(self._text_encoder)

    @property
    def bounds(self) -> Bounds:
        """A picture's tokens stand behind its caption's on the first axis of positions."""
        captions, rows, columns = self._transformer.config.axes_lens
        read = min(captions - 2, self._text_encoder.config.max_position_embeddings)
        side = self._space.factor * flow.PATCH
        return Bounds(
            side, read // SEQUENCE_MULTIPLE * SEQUENCE_MULTIPLE, min(rows, columns) * side
        )

    def check(self, params: GenerationParams) -> None:
        refuse_unread_negative(params, self.guided(params), self.guided_above)

    def guided(self, params: GenerationParams) -> bool:
        """v + w * (v - v_negative)."""
        return params.guidance_scale > self.guided_above

    def styled_layers(self) -> StyledLayers:
        layers = self._text_encoder.layers
        last = [
            f"layers.{len(layers) - 1}.{name}"
            for name, layer in layers[-2].named_modules()
            if isinstance(layer, torch.nn.Linear)
        ]
        return StyledLayers.of(
            self.components.modules,
            "transformer",
            Z_IMAGE,
            {"text_encoder": ("lora_te_", "lora_te1_", "text_encoders.qwen3_4b.transformer.")},
            unread={"text_encoder": last},
        )

    def encode(self, prompt: str, references: Sequence[Reference] = ()) -> EncodedPrompt:
        """As of `Family`. A vocabulary of whole words draws those it knows of a long prompt."""
        tokens, unknown = self._read(prompt)
        warnings = [_not_known(unknown)] if unknown else []
        if int(tokens.attention_mask.sum()) > self.max_prompt_tokens and self._has_whole_words:
            prompt, warning = self._known_words(prompt)
            tokens, _ = self._read(prompt)
            warnings.append(warning)
        real = tokens.attention_mask[0].bool()
        refuse_long_prompt(int(real.sum()), self.max_prompt_tokens)
        positions = real.nonzero()[:, 0]  # on the CPU: the device need not be asked how many
        device = self.components.device
        hidden = self._text_encoder(
            input_ids=tokens.input_ids.to(device),
            attention_mask=real[None].to(device),
            output_hidden_states=True,
        ).hidden_states[-2][0]
        return EncodedPrompt(Embedding(hidden[positions.to(device)]), tuple(warnings))

    def _read(self, prompt: str) -> tuple[Any, list[str]]:
        """The tokens of a prompt in its template, and the words that are none, sorted."""
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=True,
        )
        # Padded in multiples, not to 512: the same embedding to the bit, many times cheaper.
        tokens = self._tokenizer(
            [text],
            return_tensors="pt",
            return_offsets_mapping=True,
            padding=True,
            pad_to_multiple_of=SEQUENCE_MULTIPLE,
        )
        unknown = tokens.input_ids[0] == self._tokenizer.unk_token_id
        spans = tokens.offset_mapping[0][unknown].tolist()
        return tokens, sorted({text[begin:end] for begin, end in spans})

    @property
    def _has_whole_words(self) -> bool:
        """Whether there are words that the vocabulary cannot spell; a model's own pieces can."""
        return self._tokenizer.backend_tokenizer.model.unk_token is not None

    def _known_words(self, prompt: str) -> tuple[str, str]:
        """As many of the words that are known as the model reads, and a warning that says so."""
        empty, _ = self._read("")
        room = self.max_prompt_tokens - int(empty.attention_mask.sum())
        read = self._tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
        words: dict[int, list[int]] = {}  # positions of its tokens, by word
        for position, word in enumerate(read.word_ids()):
            words.setdefault(word, []).append(position)
        known = [
            positions
            for positions in words.values()
            if all(read.input_ids[one] != self._tokenizer.unk_token_id for one in positions)
        ]
        lengths = accumulate(len(positions) for positions in known)
        kept = [positions for positions, end in zip(known, lengths, strict=True) if end <= room]
        spans = [
            (read.offset_mapping[first][0], read.offset_mapping[last][1])
            for first, last in ((positions[0], positions[-1]) for positions in kept)
        ]
        warning = (
            f"prompt: more than the {self.max_prompt_tokens} tokens that the model reads; "
            f"{len(kept)} of the {len(known)} words that it knows were drawn"
        )
        return " ".join(prompt[begin:end] for begin, end in spans), warning

    def start(
        self, params: GenerationParams, given: Given | None, *, tiled: bool = False
    ) -> list[Start]:
        shape = self._space.shape(params)
        sigmas = self._sigmas(params.num_inference_steps, flow.image_tokens(shape))
        generators = [torch.Generator().manual_seed(params.seed + i) for i in range(params.n)]
        if given is None or given.picture is None:
            dtype = torch.float32  # as diffusers draws and steps it here, whatever the weights are
            return [Start(sigmas, self._space.noise(shape, g, dtype)) for g in generators]
        executed = self.steps_executed(params.num_inference_steps, params.strength)
        refuse_no_step(params, executed)
        sigmas = sigmas[params.num_inference_steps - executed :]
        moments = self._space.encode(given.picture, tiled=tiled)
        return flow.from_moments(self._space, moments, given.mask, sigmas, generators)

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        guided = [row for row in rows if row.negative is not None]
        captions = [row.embedding.tokens for row in rows]
        captions += [row.negative.tokens for row in guided if row.negative is not None]
        every = [*rows, *guided]
        sigma = torch.stack([row.sigmas[row.step] for row in every])
        timestep = (TRAIN_TIMESTEPS - sigma * TRAIN_TIMESTEPS) / TRAIN_TIMESTEPS
        embedders = {  # they read the tokens of all rows in one go
            self._transformer.all_x_embedder["2-1"]: [_image_tokens(row.latents) for row in every],
            self._transformer.cap_embedder[1]: [_padded(len(caption)) for caption in captions],
        }
        with self.components.adapters.worn([row.mix for row in every], embedders):
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

    def after_step(self, row: Row, velocity: torch.Tensor) -> None:
        flow.keep_protected(row)

    def latents_of(self, picture: NDArray[np.uint8], *, tiled: bool = False) -> torch.Tensor:
        return self._space.mode(picture, tiled=tiled)

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
        return self._space.decode(latents, tiled=tiled)

    def batch_key(self, start: Start) -> Hashable:
        return "z-image"

    def lengths(
        self, start: Start, embedding: Embedding, negative: Embedding | None
    ) -> tuple[int, ...]:
        image = _image_tokens(start.latents)
        captions = [embedding] if negative is None else [embedding, negative]
        return tuple(tokens for c in captions for tokens in (image, _padded(len(c.tokens))))

    def ignores_picture(self, start: Start) -> bool:
        return start.sigmas[0].item() >= 1.0

    def work(self, params: GenerationParams) -> Work:
        pixels = params.width * params.height
        patches = pixels // (self._space.factor * flow.PATCH) ** 2
        captioned = _padded(patches) + SEQUENCE_MULTIPLE
        forwards = self.steps_executed(params.num_inference_steps, params.strength)
        sequences = [captioned] * (2 if self.guided(params) else 1)
        return Work.of(sequences, forwards, pixels)

    def steps_executed(self, steps: int, strength: float | None) -> int:
        return flow.steps_executed(steps, strength)

    def _sigmas(self, steps: int, image_tokens: int) -> torch.Tensor:
        # made in float32, unlike FLUX.1's: as the pipelines do, a bit apart
        even = np.array(torch.linspace(1.0, 1 / steps, steps).tolist())
        return self._schedule.sigmas(even, image_tokens)


def _not_known(words: Sequence[str]) -> str:
    named = ", ".join(map(repr, words[:NAMED_WORDS]))
    more = f" and {len(words) - NAMED_WORDS} more" if len(words) > NAMED_WORDS else ""
    return f"prompt: the model does not know {named}{more}"


def _drop_last_layer(text_encoder: Any) -> None:
    """Free the last layer's weights: `encode` reads what goes into it.

    It stays in its place, so that the hidden states keep their numbers, and hands on what it gets.
    """
    last = text_encoder.layers[-1]
    for name in [name for name, _ in last.named_children()]:
        delattr(last, name)
    last.forward = _hand_on


def _hand_on(hidden_states: torch.Tensor, **_: object) -> torch.Tensor:
    return hidden_states


def _image_tokens(latents: torch.Tensor) -> int:
    height, width = latents.shape[-2:]
    return _padded(height // flow.PATCH * (width // flow.PATCH))


def _padded(tokens: int) -> int:
    return -(-tokens // SEQUENCE_MULTIPLE) * SEQUENCE_MULTIPLE
