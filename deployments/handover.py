"""What one room hands to the next: plain data, no behaviour, shared by both rooms."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Reference:
    """A picture that the model reads beside the prompt, upright, in its own size.

    picture: uint8 (h, w, 3). digest: SHA-256 of it in hexadecimal, None where none is asked for.
    """

    picture: NDArray[np.uint8]
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """The pictures that a request brings, by their roles.

    picture: to be noised and redrawn; uint8 (H, W, 3), upright and fitted to the canvas. mask:
    uint8 (H, W), 255 where to repaint, 0 where to protect, in between how much; None repaints all.
    references: read, never noised or fitted. There is a picture, or a reference, or both. warnings:
    of reading and fitting them, for the answer. digest: SHA-256 of all the rest in hexadecimal,
    None where it was not asked for.
    """

    picture: NDArray[np.uint8] | None
    mask: NDArray[np.uint8] | None = None
    warnings: tuple[str, ...] = ()
    digest: str | None = None
    references: tuple[Reference, ...] = ()

    @property
    def reference_sizes(self) -> tuple[tuple[int, int], ...]:
        """(width, height) of each reference."""
        shapes = (one.picture.shape for one in self.references)
        return tuple((width, height) for height, width, _ in shapes)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the model read and drew for one request, in its own tokens.

    text: of its prompts, a negative one included where it is read; padding counts where a family
    reads it like words. given: of the picture that it started from and of its references. drawn: of
    all its pictures, in the last pass.
    """

    text: int = 0
    given: int = 0
    drawn: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """Finished pictures of one request, before any words are set on them.

    pictures: uint8 (n, H, W, 3). seeds: one a picture. timings_ms: wall milliseconds by stage
    (queue, encode, start, steps, decode; between the last two of a picture in two passes: enlarge,
    hires_steps). steps_executed: forwards that each picture took, in all passes. recovery: the
    rungs that were used when memory did not suffice.
    tokens: what was read and drawn.
    """

    id: str
    pictures: NDArray[np.uint8]
    seeds: tuple[int, ...]
    steps_executed: int
    timings_ms: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    recovery: tuple[str, ...] = ()
    tokens: Tokens = Tokens()
