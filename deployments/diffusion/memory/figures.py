"""What a memory plan is made from: weights, working memory, and what is wanted. Pure numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Role = Literal["text_encoder", "denoiser", "vae"]
Basis = Literal["measured", "computed"]


@dataclass(frozen=True, slots=True)
class Line:
    """Bytes that grow with a count (tokens, pixels): fixed + each * count."""

    fixed: Fraction
    each: Fraction

    @classmethod
    def over(cls, counts: Sequence[int], sizes: Sequence[int]) -> "Line":
        """Through the smallest and the largest of `counts`, with no point above it.

        `sizes` are their bytes. A single count is taken to grow from nothing.
        """
        points = sorted(zip(counts, sizes, strict=True))
        (low, least), (high, most) = points[0], points[-1]
        if low == high:
            return cls(Fraction(0), Fraction(most, high))
        each = max(Fraction(most - least, high - low), Fraction(0))
        return cls(max(size - each * count for count, size in points), each)

    def at(self, count: int) -> int:
        """Bytes at `count`, rounded up."""
        return max(-(-(self.fixed + self.each * count) // 1), 0)


NO_GROWTH = Line(Fraction(0), Fraction(0))


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes of a component in one storage; of `blocks` in all, the largest has `largest_block`.

    Blocks are what can be streamed.
    """

    bytes: int
    blocks: int = 0
    largest_block: int = 0


@dataclass(frozen=True, slots=True)
class Component:
    """One module's weights, as loaded and with fp8 storage of the layers that bear it.

    fp8.bytes holds room for the largest such layer, cast back to compute.
    """

    name: str
    role: Role
    loaded: Weights
    fp8: Weights


@dataclass(frozen=True, slots=True)
class Figures:
    """What a plan is made from, in bytes; each phase's working memory comes on top of the weights.

    encode: the longest prompt. forward: by tokens, padding included. decode, encode_picture: one
    picture by pixels; tiled_*: the same through the tiled VAE. picture_tokens: tokens of one
    picture and its longest caption, by pixels. brought_tokens: what the most that it may bring adds
    to them, an edit's own picture and all references. kept: what is held beside the weights in all
    phases, by name. dropped: weights of the checkpoint that are never read, and freed at load.
    basis: "computed" from shapes, or "measured" on the device.
    """

    components: tuple[Component, ...]
    encode: int
    forward: Line
    decode: Line
    tiled_decode: Line
    encode_picture: Line
    tiled_encode_picture: Line
    picture_tokens: Line
    kept: Mapping[str, int]
    dropped: int
    basis: Basis
    brought_tokens: Line = NO_GROWTH


@dataclass(frozen=True, slots=True)
class Demand:
    """What a profile wants of the device.

    size: the default one, as said to people; default_pixels: the same, without which nothing is
    served. pixels: of the largest picture in one pass; hires_pixels: in two, 0 if there are none.
    most_pixels: beyond which the model does not go. tokens:
    of a forward. n: pictures of the default size in one forward. guided: whether guidance may
    double a picture's tokens.
    """

    size: str
    default_pixels: int
    pixels: int
    hires_pixels: int
    most_pixels: int
    tokens: int
    n: int
    guided: bool
