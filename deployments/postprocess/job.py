"""Clean pictures that are to be finished: one task for each file, so that they can be made side by
side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidValue
from deployments.postprocess.design import Brand
from deployments.postprocess.files import facts
from deployments.postprocess.finish import NO_BRANDS, Finisher, finish_picture
from deployments.postprocess.library import Drawing, Library, Record
from deployments.postprocess.placing import NoOtherPlace
from deployments.postprocess.schema import Finished, FinishSpec, Part


@dataclass(frozen=True, slots=True)
class Clean:
    """The clean pictures of one request. pixels: uint8 (H, W, 3) each, with its seed.

    names: of their files in the library; data: files by name, a source's too. Both are empty where
    there is no library.
    """

    drawing: Drawing
    pixels: Sequence[NDArray[np.uint8]]
    seeds: Sequence[int]
    names: Sequence[str] = ()
    data: Mapping[str, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be finished. library: where its files' records go; None where there is none, or
    it has failed. kept: the records that are there already. timings_ms: of what is done."""

    clean: Clean
    spec: FinishSpec
    library: Library | None
    kept: Mapping[str, Record]
    timings_ms: Mapping[str, float]
    cached: bool = False
    lost: bool = False

    def tasks(
        self, brands: Mapping[str, Brand] = NO_BRANDS, finish: Finisher = finish_picture
    ) -> list[Callable[[], Finished | None]]:
        """One for each of the spec's parts, in their order; for any threads.

        Each makes its file by `finish`, or answers None where there is no such layout of the words.
        Raises what that raises.
        """
        return [
            partial(_finish, self.clean, self.spec, part, brands, finish)
            for part in self.spec.parts
        ]


def with_missing_said(
    spec: FinishSpec, made: Sequence[Finished | None]
) -> list[tuple[Part, Finished]]:
    """The files there are; the first of fewer layouts than were asked for says so."""
    files: list[tuple[Part, Finished]] = []
    parts = spec.parts
    for start in range(0, len(parts), spec.layouts):
        layouts = slice(start, start + spec.layouts)
        there = [
            (part, one) for part, one in zip(parts[layouts], made[layouts], strict=True) if one
        ]
        if len(there) < spec.layouts:
            part, one = there[0]
            says = f"layouts: {len(there)} of {spec.layouts}; the words have no other good place"
            there[0] = part, replace(one, warnings=(*one.warnings, says))
        files += there
    return files


def _finish(
    clean: Clean, spec: FinishSpec, part: Part, brands: Mapping[str, Brand], finish: Finisher
) -> Finished | None:
    try:
        made = finish(
            clean.pixels[part.picture],
            spec.overlay,
            part.placement,
            spec.output,
            _facts(clean, spec, part),
            brands,
            images=spec.images,
            extension=spec.extension,
            layout=part.layout,
        )
    except NoOtherPlace:
        return None
    except InvalidValue as error:
        if len(spec.placements) == 1:
            raise
        message = f"{part.placement}: {error.message}"
        raise InvalidValue(message, error.param, error.code) from None
    return replace(made, warnings=(*spec.warnings, *made.warnings))


def _facts(clean: Clean, spec: FinishSpec, part: Part) -> dict[str, str]:
    """What one file says."""
    how = facts.Finish(spec.overlay, part.placement, spec.extension, part.layout, spec.output)
    drawing, seed = clean.drawing, clean.seeds[part.picture]
    whole = facts.of_picture(drawing.facts, drawing.asked, part.id, seed, how)
    return whole if spec.prompt_in_file else facts.without_prompts(whole)
