"""From a clean picture to a finished advert: cut to its placement, words set, encoded."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deployments.errors import RequestError
from deployments.postprocess.canvas import Canvas, Rect, to_placement
from deployments.postprocess.design import Brand, ai_label_words, find_brand
from deployments.postprocess.files import encode
from deployments.postprocess.painting import set_words
from deployments.postprocess.placing import NoOtherPlace, window
from deployments.postprocess.schema import (
    MEDIA_TYPES,
    Extension,
    Finished,
    Output,
    OverlayReport,
    OverlaySpec,
    Placement,
    find_placement,
)

NO_BRANDS: Mapping[str, Brand] = MappingProxyType({})
WITHOUT_WORDS = "setting the words failed: the picture comes without them"
Overlaid = tuple[NDArray[np.uint8], OverlayReport | None, tuple[str, ...]]  # pixels, warnings last
logger = logging.getLogger(__name__)
Finisher = Callable[..., Finished]  # `finish_picture`, or what makes the same elsewhere


def finish_picture(
    picture: NDArray[np.uint8],
    spec: OverlaySpec | None,
    placement: str | None,
    output: Output,
    metadata: Mapping[str, str],
    brands: Mapping[str, Brand] = NO_BRANDS,
    *,
    images: Mapping[str, bytes] = MappingProxyType({}),
    extension: Extension = "auto",
    layout: int = 0,
) -> Finished:
    """Make the advert of `picture`, uint8 (H, W, 3), which is left as it is.

    images: the files that the spec's image layers name, by their names. extension: how the picture
    goes on where it falls short of its placement. layout: which arrangement of the words, 0 for the
    best. Raises NoOtherPlace where there are not as many, InvalidValue for an unknown placement,
    template or brand, and for what cannot be set where the spec says on_problem "fail". With "warn"
    a picture always comes out: should setting the words break, it comes without them and a warning
    says so.
    """
    overlay = partial(_overlay, brands=brands, layout=layout, images=images)
    return _make(picture, spec, placement, output, metadata, extension, layout, overlay)


def finish_without_words(
    picture: NDArray[np.uint8],
    spec: OverlaySpec,
    placement: str | None,
    output: Output,
    metadata: Mapping[str, str],
    extension: Extension,
    layout: int,
) -> Finished:
    """The same where the words of `spec` could not be set, which a warning says."""
    return _make(picture, spec, placement, output, metadata, extension, layout, _bare)


def since(began: float) -> float:
    """Milliseconds since `began` of time.perf_counter."""
    return round((time.perf_counter() - began) * 1e3, 2)


def _make(
    picture: NDArray[np.uint8],
    spec: OverlaySpec | None,
    placement: str | None,
    output: Output,
    metadata: Mapping[str, str],
    extension: Extension,
    layout: int,
    overlay: Callable[[Canvas, OverlaySpec, Placement | None], Overlaid],
) -> Finished:
    timings: dict[str, float] = {}
    started = time.perf_counter()
    target = find_placement(placement) if placement is not None else None
    canvas = _canvas(picture, spec, target, extension)
    timings["place"] = since(started)
    pixels, report = canvas.pixels, None
    warnings: tuple[str, ...] = ()
    if spec is not None:
        started = time.perf_counter()
        pixels, report, warnings = overlay(canvas, spec, target)
        timings["overlay"] = since(started)
    started = time.perf_counter()
    dpi = target.dpi if target else None
    data = encode(pixels, output, metadata, _description(spec, report), dpi)
    timings["file"] = since(started)
    height, width = pixels.shape[:2]
    return Finished(
        data,
        MEDIA_TYPES[output.format],
        width,
        height,
        placement,
        layout,
        report,
        warnings,
        timings,
    )


def _canvas(
    picture: NDArray[np.uint8],
    spec: OverlaySpec | None,
    target: Placement | None,
    extension: Extension,
) -> Canvas:
    rows, columns = picture.shape[:2]
    if target is None:
        return Canvas(picture, Rect(0, 0, columns, rows))
    whole = Rect(0, 0, columns, rows)
    protect = [whole.part(box.shares) for box in (spec.protect if spec else ())]
    with_words = spec is not None
    kept_free = None
    if spec is not None:
        kept_free = window(picture, spec, target.width, target.height, target.clear)
    size = target.width, target.height
    return to_placement(picture, *size, protect, with_words, extension, kept_free)


def _overlay(
    canvas: Canvas,
    spec: OverlaySpec,
    target: Placement | None,
    brands: Mapping[str, Brand],
    layout: int,
    images: Mapping[str, bytes],
) -> Overlaid:
    try:
        brand = find_brand(spec.brand, brands) if spec.brand is not None else None
        return set_words(canvas, spec, target.clear if target else 0, brand, layout, images)
    except (RequestError, NoOtherPlace):
        raise
    except Exception:
        if spec.on_problem == "fail":
            raise
        # The picture took a model seconds: a fault here must not cost it.
        logger.exception("setting the words failed; the picture goes out without them")
        return _bare(canvas, spec, target)


def _bare(canvas: Canvas, spec: OverlaySpec, target: Placement | None) -> Overlaid:
    return canvas.pixels, None, (WITHOUT_WORDS,)


def _description(spec: OverlaySpec | None, report: OverlayReport | None) -> str | None:
    """The AI label in the language of the first words, where the file is to say it."""
    if spec is None or spec.ai_label not in ("metadata", "both"):
        return None
    return ai_label_words(report.layers[0].lang if report and report.layers else "en")
