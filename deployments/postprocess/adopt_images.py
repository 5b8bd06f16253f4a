"""Images of an overlay, from wherever they come, as files that can be kept with the advert.

What a client sends is decoded once, within the limits of every upload. A product is cut out here,
once for all adverts made of it. What comes out is lossless WebP, named for its bytes, so that an
image sent again, or a kept picture used as one, is kept once.
"""

import base64
import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.errors import InvalidValue, TooLarge
from deployments.postprocess.design import Brand, find_brand
from deployments.postprocess.files import encode
from deployments.postprocess.finish import NO_BRANDS
from deployments.postprocess.intake import (
    IntakeLimits,
    Picture,
    Segmenter,
    cutout,
    decode,
    decode_mask,
)
from deployments.postprocess.library import Library, digest
from deployments.postprocess.schema import (
    KEPT,
    MAX_LAYERS,
    FinishSpec,
    ImageLayer,
    Output,
    OverlaySpec,
    is_data_url,
    is_id,
    read_data_url,
)

log = logging.getLogger(__name__)

_FILE = Output("webp")
_LONG_SIDE = 4096  # pixels; no placement shows more
_KEPT_PIXELS = 2**24  # of all images of one overlay together, which share its canvas
_SENT_PIXELS = 100_000_000  # that are decoded for one overlay


def adopt(
    spec: FinishSpec,
    library: Library | None,
    limits: IntakeLimits,
    brands: Mapping[str, Brand] = NO_BRANDS,
    segmenter: Segmenter | None = None,
) -> FinishSpec:
    """`spec` with its overlay's images as `images`, and named for them in its layers.

    The logo of its brand joins them, unless it has one of its own.

    Raises InvalidValue, TooLarge or UnsupportedFile naming the layer's field.
    """
    if spec.overlay is None:
        return spec
    overlay, warnings = _with_logo(spec.overlay, brands)
    layers: list[Any] = list(overlay.layers)
    images: dict[str, bytes] = {}
    most = _KEPT_PIXELS // max(1, len(overlay.image_layers))
    left = _SENT_PIXELS
    for index, layer in overlay.image_layers.items():
        field = f"overlay.layers.{index}"
        image, doubts, sent = _taken(layer, field, library, limits, most, left)
        left -= sent
        if layer.kind == "product" and image.mode == "RGB":
            image, doubt = _cut_out(image, field, segmenter)
            doubts += doubt
        file = encode(_pixels(image), _FILE, {})
        images[digest(file)] = file
        layers[index] = layer.model_copy(update={"image": KEPT + digest(file), "mask": None})
        warnings += [f"layer {index} ({layer.kind}): {doubt}" for doubt in doubts]
    overlay = overlay.model_copy(update={"layers": layers})
    return replace(spec, overlay=overlay, images=images, warnings=(*spec.warnings, *warnings))


def _with_logo(overlay: OverlaySpec, brands: Mapping[str, Brand]) -> tuple[OverlaySpec, list[str]]:
    """The overlay with the logo of its brand, and a warning where that is one layer too many."""
    brand = find_brand(overlay.brand, brands) if overlay.brand is not None else None
    has_one = any(layer.kind == "logo" for layer in overlay.image_layers.values())
    if brand is None or brand.logo is None or has_one:
        return overlay, []
    if len(overlay.layers) >= MAX_LAYERS:
        return overlay, [f"brand: {MAX_LAYERS} layers leave no place for its logo"]
    try:
        encoded = base64.b64encode(Path(brand.logo).read_bytes()).decode("ascii")
    except OSError:  # the operator's, and no reason to lose the advert
        log.exception("the logo of the brand %s cannot be read", overlay.brand)
        return overlay, [f"brand: the logo of {overlay.brand} cannot be read: it is left out"]
    logo = ImageLayer(type="image", kind="logo", image=f"data:image/png;base64,{encoded}")
    return overlay.model_copy(update={"layers": [*overlay.layers, logo]}), []


def kept_files(overlay: OverlaySpec | None, library: Library) -> Mapping[str, bytes] | None:
    """The files of an adopted overlay's images, by their names; None if one is gone."""
    files = {name: library.file(name) for name in (overlay.kept_images if overlay else ())}
    whole = {name: data for name, data in files.items() if data is not None}
    return whole if len(whole) == len(files) else None


def _taken(
    layer: ImageLayer,
    field: str,
    library: Library | None,
    limits: IntakeLimits,
    most: int,
    left: int,
) -> tuple[Image.Image, list[str], int]:
    """A layer's image with at most so many pixels: RGBA, trimmed, where its own transparency or a
    mask says what of it is shown, else RGB; warnings; and how many pixels were sent, of the `left`
    ones."""
    data = _read(layer.image, f"{field}.image", library, limits)
    picture = decode(data, f"{field}.image", limits, over_white=False)
    image, alpha, sent = picture.image, picture.alpha, math.prod(picture.image.size)
    if layer.mask is not None:
        data = _read(layer.mask, f"{field}.mask", library, limits)
        mask = decode_mask(data, f"{field}.mask", limits)
        alpha = _cover(mask, image, f"{field}.mask")
        sent *= 2
    if sent > left:
        raise TooLarge(
            f"{field}.image: with it the overlay's images have more than the "
            f"{_SENT_PIXELS // 10**6} megapixels of one request; send them smaller",
            f"{field}.image",
            "too_many_pixels",
        )
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
        image = _trimmed(image, f"{field}.image")
    return _within(image, most), list(picture.warnings), sent


def _cut_out(
    image: Image.Image, field: str, segmenter: Segmenter | None
) -> tuple[Image.Image, list[str]]:
    """The subject of a photograph, RGBA, trimmed; and what is doubtful about it."""
    rgb = np.asarray(image)
    found = cutout.cut_out(rgb, segmenter)
    if found is None:
        raise InvalidValue(
            f"{field}.image: no product can be told from its ground; send one with a "
            "transparent ground, or a mask",
            f"{field}.image",
            "no_subject",
        )
    doubts = [f"{found.doubt}: it may be cut out badly; send a mask"] if found.doubt else []
    cut = cutout.without_ground(rgb, found.alpha)
    return _trimmed(Image.fromarray(cut), f"{field}.image"), doubts


def _within(image: Image.Image, most: int) -> Image.Image:
    """Brought to at most so many pixels, and to no longer side than any placement shows."""
    width, height = image.size
    scale = min(_LONG_SIDE / max(width, height), math.sqrt(most / (width * height)))
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Pillow multiplies alpha in before and out again after it resamples.
    return image.resize(size, Image.Resampling.LANCZOS)


def _read(image: str, field: str, library: Library | None, limits: IntakeLimits) -> bytes:
    """The file that a reference names."""
    if is_data_url(image):
        return read_data_url(image, field, limits.max_bytes)
    if library is None:
        message = f"{field}: nothing is kept here; send a data URL"
        raise InvalidValue(message, field, "library_off")
    name: str | None = image.removeprefix(KEPT)
    if is_id(image):
        record = library.record(image)
        name = record.clean if record else None
    kept = library.image(name) if name else None
    if kept is None:
        raise InvalidValue(f"{field}: there is no {image} here", field, "image_not_found")
    return kept


def _cover(mask: Picture, image: Image.Image, field: str) -> NDArray[np.uint8]:
    """How much of each pixel a mask shows: its alpha, or without one its grey."""
    if mask.image.size != image.size:
        width, height = mask.image.size
        size = f"{image.width}x{image.height}"
        message = f"{field}: {width}x{height}, but its image is {size}; send one of the same size"
        raise InvalidValue(message, field, "mask_size_mismatch")
    if mask.alpha is not None:
        return mask.alpha
    return np.asarray(mask.image.convert("L"))


def _trimmed(image: Image.Image, field: str) -> Image.Image:
    """RGBA without the margins that show nothing."""
    shown = image.getchannel("A").getbbox()
    if shown is None:
        raise InvalidValue(f"{field}: nothing of it is to be seen", field, "empty_image")
    return image.crop(shown)


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 (h, w, 4), or (h, w, 3) where it is wholly opaque."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 255:
        image = image.convert("RGB")
    return np.asarray(image)
