"""What one architecture needs to know; everything else in the room serves all families alike."""

from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from deployments.diffusion.request import Embedding, GenerationParams, Row, Start, Work
from deployments.diffusion.styles import StyledLayers
from deployments.diffusion.weights import SharedComponents
from deployments.errors import InvalidValue
from deployments.handover import Given, Reference

Stage = Literal["encode", "start", "forward", "decode"]
Uses = Mapping[Stage, tuple[str, ...]]  # the names of the components that each stage runs


class Bounds(NamedTuple):
    """What a model can be asked for, by its architecture.

    multiple: of both sides, in pixels. prompt_tokens: that it has positions for, and was trained
    on. max_side: pixels; None where positions have no end. references: how many it reads at most.
    """

    multiple: int
    prompt_tokens: int
    max_side: int | None = None
    references: int = 0


class EncodedPrompt(NamedTuple):
    """What became of a prompt. warnings: what of it the model cannot know."""

    embedding: Embedding
    warnings: tuple[str, ...]


class Family(Protocol):
    """All that one architecture knows. Called by the engine's device thread alone."""

    components: SharedComponents
    guided_above: ClassVar[float]  # the guidance from which on a row takes part in forwards twice
    prompt_sees_references: ClassVar[bool]  # whether a prompt is encoded together with them

    @property
    def bounds(self) -> Bounds:
        """What a profile of this model must stay within."""
        ...

    @property
    def uses(self) -> Uses:
        """What each stage runs, so that residency is computed, not remembered."""
        ...

    def check(self, params: GenerationParams) -> None:
        """Raise InvalidValue for what this architecture cannot draw. Any thread."""
        ...

    def guided(self, params: GenerationParams) -> bool:
        """Whether the negative prompt, empty if none is given, takes part in each forward."""
        ...

    def styled_layers(self) -> StyledLayers:
        """The layers that a style may act on, by all the names that its file may have for them."""
        ...

    def encode(self, prompt: str, references: Sequence[Reference] = ()) -> EncodedPrompt:
        """The embedding of a prompt, negative ones too, as it is read by what is worn around the
        call; what is told of either begins "prompt: ".

        references: those that the request brings, where the family's prompts see them, else none.
        Raises InvalidValue("prompt") when it is too long.
        """
        ...

    def start(
        self, params: GenerationParams, given: Given | None, *, tiled: bool = False
    ) -> list[Start]:
        """Sigmas, first latents, source and references of each of the n pictures.

        tiled: the given pictures are encoded with a fraction of the memory, slightly otherwise.
        Raises InvalidValue("strength") when no step would run.
        """
        ...

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        """dx/dsigma of each row, (1, C, h, w), from ONE forward over all rows.

        A row with a negative embedding takes part twice. Every row wears its own style
        (`components.adapters.worn`); rows of different styles share the forward.
        """
        ...

    def after_step(self, row: Row, velocity: torch.Tensor) -> None:
        """What must happen to the latents once `velocity` has brought them to sigmas[step]."""
        ...

    def latents_of(self, picture: NDArray[np.uint8], *, tiled: bool = False) -> torch.Tensor:
        """The most likely latents (1, C, h, w) of uint8 (H, W, 3), scaled as the loop's are.

        tiled: as for `start`.
        """
        ...

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
        """One picture, uint8 (H, W, 3), from its final latents (1, C, h, w).

        tiled: with a fraction of the memory, at any size, and slightly other pixels.
        Raises GenerationFailed("not_finite") where the model has drawn no numbers.
        """
        ...

    def batch_key(self, start: Start) -> Hashable:
        """Rows with equal keys may share a forward."""
        ...

    def lengths(
        self, start: Start, embedding: Embedding, negative: Embedding | None
    ) -> tuple[int, ...]:
        """Tokens of a row by kind, padding included, as of `Row`; rows of equal lengths need no
        mask."""
        ...

    def ignores_picture(self, start: Start) -> bool:
        """Whether nothing of a picture to redraw is left in the first latents, nor is it read."""
        ...

    def work(self, params: GenerationParams) -> Work:
        """What one picture will take, its references too, predicted before anything is encoded. Any
        thread."""
        ...

    def steps_executed(self, steps: int, strength: float | None) -> int:
        """Forwards that a picture takes when `steps` are asked for."""
        ...


def refuse_unread_negative(params: GenerationParams, guided: bool, above: float) -> None:
    """Raise InvalidValue("negative_prompt") where one is given that no forward would read."""
    if params.negative_prompt is not None and not guided:
        raise InvalidValue(
            "negative_prompt: it is read only with guidance; set guidance_scale above "
            f"{above:g} or leave it out",
            "negative_prompt",
            "negative_prompt_without_guidance",
        )


def refuse_long_prompt(tokens: int, most: int) -> None:
    """Raise InvalidValue("prompt") for more tokens than the model reads."""
    if tokens > most:
        raise InvalidValue(
            f"prompt: {tokens} tokens are more than the {most} that the model reads; shorten it",
            "prompt",
            "prompt_too_long",
        )


def refuse_no_step(params: GenerationParams, executed: int) -> None:
    """Raise InvalidValue("strength") when nothing would be drawn."""
    if executed == 0:
        raise InvalidValue(
            f"strength: {params.strength} runs no step of {params.num_inference_steps}; raise it",
            "strength",
            "strength_runs_no_step",
        )
