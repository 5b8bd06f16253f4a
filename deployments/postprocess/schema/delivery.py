"""What is to become of drawn pictures, and what did become of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from deployments.errors import InvalidValue
from deployments.handover import Tokens
from deployments.postprocess.schema.image_reference import new_id
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.placements import Extension, Output, find_placement
from deployments.postprocess.schema.reports import Finished

MAX_FILES = 32
MAX_PIXELS = 80_000_000  # of the files of one request, so that its answer passes from room to room


@dataclass(frozen=True, slots=True)
class Part:
    """One file that is to be made. picture: which of the drawn ones, from 0."""

    id: str
    picture: int
    placement: str | None
    layout: int


@dataclass(frozen=True, slots=True)
class FinishSpec:
    """What a client wants of each picture of a request.

    ids: one a file, in the order of `parts`. placements: as of `find_placement`, None keeps
    the drawn size. metadata: what drew them (signboard's version, model, revision). asked: the
    engine's parameters by name. prompt_in_file: whether files may tell how the pictures were
    described. key: under which the drawn pictures are kept for the next request like it; None if
    they are not. images: files that the overlay's image layers name, by their names, once they
    are adopted. warnings: of that, and of what the request asked for in vain.
    """

    ids: tuple[str, ...]
    overlay: OverlaySpec | None
    placements: tuple[str | None, ...]
    output: Output
    extension: Extension = "auto"
    metadata: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
    prompt_in_file: bool = True
    key: str | None = None
    images: Mapping[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Of the request: its first file's."""
        return self.ids[0]

    @property
    def layouts(self) -> int:
        """Arrangements of the words that are asked for."""
        return self.overlay.layouts if self.overlay else 1

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every file: picture by picture, of each its placements, of each of these its layouts."""
        pictures = len(self.ids) // (len(self.placements) * self.layouts)
        each = product(range(pictures), self.placements, range(self.layouts))
        return tuple(Part(id, *which) for id, which in zip(self.ids, each, strict=True))

    def of(self, pictures: int) -> "FinishSpec":
        """The same for so many pictures, with an id for each file.

        Raises InvalidValue for more files, or more pixels of them, than one request may ask for.
        """
        files = pictures * len(self.placements) * self.layouts
        if files > MAX_FILES:
            raise InvalidValue(
                f"placements: {pictures} pictures x {len(self.placements)} placements x "
                f"{self.layouts} layouts are {files} files, more than the {MAX_FILES} of one "
                "request; ask for fewer, or in several requests",
                "placements",
                "too_many_files",
            )
        placed = [find_placement(name) for name in self.placements if name is not None]
        pixels = sum(one.width * one.height for one in placed) * pictures * self.layouts
        if pixels > MAX_PIXELS:
            raise InvalidValue(
                f"placements: {pixels / 1e6:.0f} megapixels in all are more than the "
                f"{MAX_PIXELS // 10**6} of one request; ask for fewer, or in several requests",
                "placements",
                "too_many_pixels",
            )
        return replace(self, ids=tuple(new_id() for _ in range(files)))


@dataclass(frozen=True, slots=True)
class Delivery:
    """The finished files of one request with all that is known of their making.

    ids, pictures, drawn, seeds: of each file its id, itself, which of the drawn pictures it shows
    (from 0), and that one's seed. drawn_size: width and height before they were fitted to a
    placement. steps: that were asked for; steps_executed: that each picture took. timings_ms: wall
    milliseconds by stage, the drawing's and the finishing's; the latter summed over the files.
    style: that they were drawn in; styles: several, by name and weight. cached: they came from the
    library, no step was run. kept: their ids are good there. tokens: what the model read and drew.
    """

    ids: tuple[str, ...]
    pictures: tuple[Finished, ...]
    drawn: tuple[int, ...]
    seeds: tuple[int, ...]
    drawn_size: tuple[int, int]
    steps: int
    steps_executed: int
    timings_ms: Mapping[str, float]
    warnings: tuple[str, ...]
    style: str | None = None
    styles: tuple[Mapping[str, Any], ...] = ()
    cached: bool = False
    kept: bool = False
    tokens: Tokens = field(default_factory=Tokens)

    @property
    def id(self) -> str:
        """Of the request: its first file's."""
        return self.ids[0]


@dataclass(frozen=True, slots=True)
class File:
    """A kept picture as a file."""

    data: bytes
    media_type: str
