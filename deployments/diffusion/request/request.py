"""What becomes of a request on the device: a Request, and a Row for each picture of it."""

import threading
import time
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from deployments.diffusion.request.params import GenerationParams, Mix, Priority, Terms
from deployments.diffusion.request.work import Progress, Sink, Work
from deployments.errors import GenerationFailed
from deployments.handover import Drawn, Given, Tokens


@dataclass(frozen=True, slots=True)
class Embedding:
    """A prompt as the model reads it.

    tokens: (L, D). pooled: (P,), the prompt as a whole, where the model asks for that too.
    """

    tokens: torch.Tensor
    pooled: torch.Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return self.tokens.nbytes + (0 if self.pooled is None else self.pooled.nbytes)


@dataclass(frozen=True, slots=True)
class Inpainting:
    """What inpainting puts back after each step.

    latents, noise: (1, C, h, w) in the components' dtype. mask: (1, 1, h, w), how much to repaint,
    0 to 1.
    """

    latents: torch.Tensor
    noise: torch.Tensor
    mask: torch.Tensor

    def put_back(self, drawn: torch.Tensor, kept: torch.Tensor, left: float) -> torch.Tensor:
        """`drawn` where it is repainted by now, else `kept`. left: share of the steps to come.

        What is to be repainted by half is free in the second half of the steps, as a strength has
        it (Levin and Fried, "Differential Diffusion", 2023).
        """
        free = (self.mask > left).to(self.mask.dtype)
        return (1 - free) * kept + free * drawn


@dataclass(frozen=True, slots=True)
class Start:
    """Where one picture begins.

    sigmas: float32 (steps + 1,), falling, the last one 0, on the CPU. latents: (1, C, h, w).
    generator: where steps that draw noise of their own take it from.
    references: (1, C, h, w) each, in the components' dtype, clean at every step: what stands beside
    the latents in every forward. reference_tokens: of all of them, in a forward.
    """

    sigmas: torch.Tensor
    latents: torch.Tensor
    inpainting: Inpainting | None = None
    generator: torch.Generator | None = None
    references: tuple[torch.Tensor, ...] = ()
    reference_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Pass:
    """One of the passes in which every picture of a request is drawn; most requests have one.

    params: what is asked of it. stage: what its steps are booked under. work, steps: of one
    picture, predicted.
    """

    params: GenerationParams
    stage: str
    work: Work
    steps: int

    @property
    def pixels(self) -> int:
        """Of one picture."""
        return self.params.width * self.params.height


@dataclass(slots=True, eq=False)
class Request:
    """One request on its way; owned by the engine, which alone resolves `future`.

    Other threads may only set `cancelled` and wait for `future`. mix: the styles of its rows.
    sink: who is told of its events; progress: the last of its progress. recovery: what was done
    for it when memory did not suffice.
    """

    id: str
    params: GenerationParams
    given: Given | None
    terms: Terms
    passes: tuple[Pass, ...]
    mix: Mix = ()
    sink: Sink | None = None
    progress: Progress | None = None
    arrived: float = field(default_factory=time.monotonic)
    future: Future[Drawn] = field(default_factory=Future)
    cancelled: threading.Event = field(default_factory=threading.Event)
    rows: list["Row"] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    recovery: tuple[str, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)
    lap_started: float = field(default_factory=time.perf_counter)

    @property
    def places(self) -> int:
        """Places it takes in the engine: one a picture."""
        return self.params.n

    @property
    def prompt(self) -> str:
        """What the model reads: "trigger, prompt", with every trigger that the prompt lacks."""
        prompt = self.params.prompt
        for worn in reversed(self.mix):
            if worn.trigger is not None and worn.trigger.casefold() not in prompt.casefold():
                prompt = f"{worn.trigger}, {prompt}"
        return prompt

    @property
    def priority(self) -> Priority:
        """Of its terms."""
        return self.terms.priority

    @property
    def work(self) -> Work:
        """What one of its pictures takes in all, predicted."""
        return sum((one.work for one in self.passes), Work())

    @property
    def remaining(self) -> Work:
        """What is left to do for all its pictures."""
        if not self.rows:
            return self.work.times(self.places)
        return sum((row.work for row in self.rows), Work())

    @property
    def overdue(self) -> bool:
        """Whether its deadline has passed."""
        deadline_s = self.terms.deadline_s
        return deadline_s is not None and time.monotonic() > self.arrived + deadline_s

    def warn(self, *warnings: str) -> None:
        """Add to what the answer will warn of, each thing once."""
        self.warnings = list(dict.fromkeys((*self.warnings, *warnings)))

    @property
    def denoised(self) -> bool:
        """Whether no picture has a step left in the pass that it is in."""
        return all(row.denoised for row in self.rows)

    @property
    def drawn(self) -> bool:
        """Whether every picture is decoded."""
        return all(row.picture is not None for row in self.rows)

    def as_drawn(self) -> Drawn:
        """What is handed on once every picture is decoded."""
        return Drawn(
            id=self.id,
            pictures=np.stack([g.picture for g in self.rows if g.picture is not None]),
            seeds=tuple(self.params.seed + i for i in range(self.params.n)),
            steps_executed=self.rows[0].steps_done,
            timings_ms=self.timings_ms,
            warnings=tuple(self.warnings),
            recovery=self.recovery,
            tokens=self._tokens(),
        )

    def _tokens(self) -> Tokens:
        first = self.rows[0]
        prompts = [one.tokens for one in (first.embedding, first.negative) if one is not None]
        redrawn = self.given is not None and self.given.picture is not None
        return Tokens(
            text=sum(len(tokens) for tokens in prompts),
            given=(first.image_tokens if redrawn else 0) + first.reference_tokens,
            drawn=sum(row.image_tokens for row in self.rows),
        )

    def lap(self, stage: str) -> None:
        """Book the wall time since the last lap to `stage`, on top of what it has already."""
        now = time.perf_counter()
        self.timings_ms[stage] = self.timings_ms.get(stage, 0.0) + (now - self.lap_started) * 1e3
        self.lap_started = now


@dataclass(slots=True, eq=False)
class Row:
    """One picture on its way; owned by the engine's device thread alone.

    latents: (1, C, h, w), standing at sigmas[step]. embedding: of the prompt; negative: of the
    negative prompt, None without guidance. generator, references: as in its Start.
    lengths: image tokens first, then those of caption and references together, in a forward, of
    each sequence that it takes of the row; rows of equal lengths need no attention mask.
    batch_key: rows with equal keys may share a forward.
    passes: the one that it is in, and those to come. walked: steps of the passes behind it.
    picture: uint8 (H, W, 3) once decoded for good.
    """

    request: Request
    sigmas: torch.Tensor
    latents: torch.Tensor
    embedding: Embedding
    negative: Embedding | None
    inpainting: Inpainting | None
    lengths: tuple[int, ...]
    batch_key: Hashable
    passes: tuple[Pass, ...]
    generator: torch.Generator | None = None
    references: tuple[torch.Tensor, ...] = ()
    reference_tokens: int = 0
    step: int = 0
    walked: int = 0
    picture: NDArray[np.uint8] | None = None

    def advance(self, velocity: torch.Tensor) -> None:
        """Euler: x + (sigma_next - sigma) * dx/dsigma."""
        change = self.sigmas[self.step + 1] - self.sigmas[self.step]
        self.latents = self.latents + change * velocity
        self.step += 1

    @property
    def tokens(self) -> int:
        """What the token budget counts."""
        return sum(self.lengths)

    @property
    def image_tokens(self) -> int:
        """Of the picture, in the pass that it is in."""
        return self.lengths[0]

    @property
    def sequences(self) -> tuple[int, ...]:
        """Tokens of each sequence that a forward takes of it: all that attend to each other."""
        return tuple(map(sum, zip(self.lengths[::2], self.lengths[1::2], strict=True)))

    @property
    def priority(self) -> Priority:
        """Of its request."""
        return self.request.priority

    @property
    def mix(self) -> Mix:
        """Of its request; rows of different styles may share a forward."""
        return self.request.mix

    @property
    def work(self) -> Work:
        """What is left to do for this picture."""
        own, *later = self.passes
        pixels = own.work.pixels if self.picture is None else 0
        left = Work.of(self.sequences, self.steps - self.step, pixels)
        return sum((one.work for one in later), left)

    @property
    def steps(self) -> int:
        """Forwards of the pass that it is in."""
        return len(self.sigmas) - 1

    @property
    def steps_left(self) -> float:
        """Forwards of its pass that are still to come, of all of them: 1 to 0."""
        return 1 - self.step / self.steps

    @property
    def steps_done(self) -> int:
        """Forwards so far, in all passes."""
        return self.walked + self.step

    @property
    def all_steps(self) -> int:
        """Forwards that this picture takes in all passes."""
        return self.walked + self.steps + sum(one.steps for one in self.passes[1:])

    @property
    def denoised(self) -> bool:
        """Whether no step of its pass is left."""
        return self.step == self.steps

    @property
    def returns(self) -> bool:
        """Whether it is stepped again after it is decoded."""
        return len(self.passes) > 1


def forward_work(rows: Sequence[Row]) -> Work:
    """What one forward over `rows` computes, each as the widest of them."""
    widest = max(rows, key=lambda row: row.tokens)
    return replace(Work.of(widest.sequences, steps=1).times(len(rows)), forwards=1)


def require_finite(all_finite: torch.Tensor) -> None:
    """Raise GenerationFailed unless the scalar, read from its device, is true.

    What is no number would become a black picture.
    """
    if not all_finite:
        raise GenerationFailed(
            "The model's picture came out as no numbers: ask again with another seed, or without "
            "its style; if others fail too, the operator may set model.dtype to float32.",
            None,
            "not_finite",
        )
