"""Images of an overlay, from wherever they come, as files that can be kept with the advert.

What a client sends is decoded once, within the limits of every upload. A product is cut out here,
once for all adverts made of it. What comes out is lossless WebP, named for its bytes, so that an
image sent again, or a kept picture used as one, is kept once.
"""

import base64
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidValue
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
from deployments.postprocess.placing import reduced
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

_FILE = Output("webp")
_LONG_SIDE = 4096  # pixels; no placement shows more


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
    for index, layer in overlay.image_layers.items():
        field = f"overlay.layers.{index}"
        pixels, doubts = _pixels(layer, field, library, limits, segmenter)
        file = encode(pixels, _FILE, {})
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
    encoded = base64.b64encode(Path(brand.logo).read_bytes()).decode("ascii")
    logo = ImageLayer(type="image", kind="logo", image=f"data:image/png;base64,{encoded}")
    return overlay.model_copy(update={"layers": [*overlay.layers, logo]}), []


def kept_files(overlay: OverlaySpec | None, library: Library) -> Mapping[str, bytes] | None:
    """The files of an adopted overlay's images, by their names; None if one is gone."""
    files = {name: library.file(name) for name in (overlay.kept_images if overlay else ())}
    whole = {name: data for name, data in files.items() if data is not None}
    return whole if len(whole) == len(files) else None


def _pixels(
    layer: ImageLayer,
    field: str,
    library: Library | None,
    limits: IntakeLimits,
    segmenter: Segmenter | None,
) -> tuple[NDArray[np.uint8], list[str]]:
    """uint8 (h, w, 3), or (h, w, 4) where it is not wholly opaque, trimmed; and warnings."""
    data = _read(layer.image, f"{field}.image", library, limits)
    picture = decode(data, f"{field}.image", limits, over_white=False)
    alpha, doubts = picture.alpha, list(picture.warnings)
    rgb = np.asarray(picture.image)
    if layer.mask is not None:
        data = _read(layer.mask, f"{field}.mask", library, limits)
        alpha = _cover(decode_mask(data, f"{field}.mask", limits), rgb, f"{field}.mask")
    elif layer.kind == "product" and alpha is None:
        found = cutout.cut_out(rgb, segmenter)
        if found is None:
            raise InvalidValue(
                f"{field}.image: no product can be told from its ground; send one with a "
                "transparent ground, or a mask",
                f"{field}.image",
                "no_subject",
            )
        if found.doubt is not None:
            doubts.append(f"{found.doubt}: it may be cut out badly; send a mask")
        alpha = found.alpha
        rgb = cutout.without_ground(rgb, alpha)[..., :3]
    if alpha is None:
        return reduced(rgb, _LONG_SIDE), doubts
    return reduced(_trimmed(rgb, alpha, f"{field}.image"), _LONG_SIDE), doubts


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


def _cover(mask: Picture, rgb: NDArray[np.uint8], field: str) -> NDArray[np.uint8]:
    """How much of each pixel a mask shows: its alpha, or without one its grey."""
    width, height = mask.image.size
    if (height, width) != rgb.shape[:2]:
        size = f"{rgb.shape[1]}x{rgb.shape[0]}"
        message = f"{field}: {width}x{height}, but its image is {size}; send one of the same size"
        raise InvalidValue(message, field, "mask_size_mismatch")
    if mask.alpha is not None:
        return mask.alpha
    return np.asarray(mask.image.convert("L"))


def _trimmed(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], field: str) -> NDArray[np.uint8]:
    """RGBA without the margins that show nothing; RGB where all of it is opaque."""
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        raise InvalidValue(f"{field}: nothing of it is to be seen", field, "empty_image")
    cut = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if int(alpha[cut].min()) == 255:
        return rgb[cut]
    return np.dstack([rgb[cut], alpha[cut]])
