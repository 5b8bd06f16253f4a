"""What is to become of drawn pictures, and what did become of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployments.postprocess.finish import Finished
from deployments.postprocess.spec import Output, OverlaySpec


@dataclass(frozen=True, slots=True)
class FinishSpec:
    """What a client wants of each picture of a request.

    ids: one a picture. placement: a name of `spec.PLACEMENTS`, or None to keep the drawn size.
    metadata: what drew them (signboard's version, model, revision). asked: the engine's
    parameters by name. prompt_in_file: whether files may tell how the pictures were described.
    key: under which the drawn pictures are kept for the next request like it; None if they are not.
    images: files that the overlay's image layers name, by their names, once they are adopted;
    warnings: of that.
    """

    ids: tuple[str, ...]
    overlay: OverlaySpec | None
    placement: str | None
    output: Output
    metadata: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
    prompt_in_file: bool = True
    key: str | None = None
    images: Mapping[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Of the request: its first picture's."""
        return self.ids[0]


@dataclass(frozen=True, slots=True)
class Delivery:
    """The finished pictures of one request with all that is known of their making.

    drawn_size: width and height before they were fitted to a placement. timings_ms: wall
    milliseconds by stage, the drawing's and the finishing's; the latter summed over the pictures.
    style: that they were drawn in. cached: they came from the library, no step was run. kept:
    their ids are good there.
    """

    ids: tuple[str, ...]
    pictures: tuple[Finished, ...]
    seeds: tuple[int, ...]
    drawn_size: tuple[int, int]
    steps_executed: int
    timings_ms: Mapping[str, float]
    warnings: tuple[str, ...]
    style: str | None = None
    cached: bool = False
    kept: bool = False

    @property
    def id(self) -> str:
        """Of the request: its first picture's."""
        return self.ids[0]


@dataclass(frozen=True, slots=True)
class File:
    """A kept picture as a file."""

    data: bytes
    media_type: str
