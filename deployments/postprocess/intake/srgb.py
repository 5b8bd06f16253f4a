"""Pictures of any colour space as sRGB, by ICC profiles; littleCMS does the arithmetic."""

import io
import struct
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from deployments.postprocess.intake.spaces import SRGB_CURVE, UnknownSpace, power, profile_of

_GREYS = ("L", "I;16")
_CURVES, _COLUMNS = (b"rTRC", b"gTRC", b"bTRC"), (b"rXYZ", b"gXYZ", b"bXYZ")
_BAND = 2**18  # pixels that are worked on at once
_GRID = 9  # levels a channel at which two spaces are held against each other


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """`image`, of mode L, I;16, RGB or CMYK and perhaps changed, as RGB in sRGB.

    A profile that changes no colour by more than a level leaves it as it is. Raises UnknownSpace
    for a profile that cannot be read, or is of another kind than the picture.
    """
    source = _opened(profile)
    space = source.profile.xcolor_space.strip()
    if image.mode in _GREYS and space == "RGB":
        image = eight_bits(image).convert("RGB")
    kinds = {"GRAY": _GREYS, "RGB": ("RGB",), "CMYK": ("CMYK",)}
    if image.mode not in kinds.get(space, ()):
        raise UnknownSpace(f"{space} on {image.mode}")
    transform = _transform(source, _srgb(), image.mode, "RGB")
    if image.mode == "RGB" and not _changes(transform):
        return image
    in_place = image.mode == "RGB"
    changed = ImageCms.applyTransform(image, transform, inPlace=in_place)
    return changed or image  # in place, it gives nothing back


def from_sixteen_bits(values: NDArray[np.uint16], profile: bytes | None) -> Image.Image:
    """uint16 (H, W, 1 or 3) as RGB in sRGB, through `profile` where there is one.

    Pillow's littleCMS takes no RGB of 16 bits. Of a profile that is three curves and a matrix, as
    all that need 16 bits are, it makes the curves alone. Raises UnknownSpace as `to_srgb` does.
    """
    parts = _curves_and_matrix(profile) if profile is not None else None
    if parts is None:
        grey = values.shape[2] == 1
        image = Image.fromarray(values[..., 0] if grey else _rounded(values))
        return eight_bits(image).convert("RGB") if profile is None else to_srgb(image, profile)
    curves, matrix = parts
    linear = profile_of(b"GRAY", {b"kTRC": power(1)})
    shown = _table(linear, profile_of(b"GRAY", {b"kTRC": SRGB_CURVE}), "L")

    def band_in_srgb(band: NDArray[np.uint16]) -> NDArray[np.uint8]:
        channels = [curve[band[..., min(i, band.shape[2] - 1)]] for i, curve in enumerate(curves)]
        light = cv2.transform(cv2.merge(channels), matrix)
        levels: NDArray[np.uint8] = shown[np.clip(light + 0.5, 0, 65535).astype(np.uint16)]
        return levels

    return Image.fromarray(_in_bands(values, band_in_srgb, 3))


def eight_bits(image: Image.Image) -> Image.Image:
    """I;16 as L, rounded; other modes as they are. Pillow's `convert` would clip to white."""
    if image.mode != "I;16":
        return image
    return Image.fromarray(_rounded(np.asarray(image)))


def _rounded(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The nearest of 256 levels."""
    channels = values.shape[2] if values.ndim == 3 else 1
    levels = _in_bands(values, lambda band: (band.astype(np.uint32) + 128) // 257, channels)
    return levels if values.ndim == 3 else levels[..., 0]


def _in_bands(
    values: NDArray[np.uint16], work: Callable[[NDArray[np.uint16]], NDArray[Any]], channels: int
) -> NDArray[np.uint8]:
    """What `work` makes of bands of rows: of all at once it would take several times the memory."""
    height, width = values.shape[:2]
    levels = np.empty((height, width, channels), np.uint8)
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        band = values[top : top + rows]
        levels[top : top + rows] = work(band).reshape(len(band), width, channels)
    return levels


def _curves_and_matrix(
    profile: bytes,
) -> tuple[Sequence[NDArray[np.float32]], NDArray[np.float32]] | None:
    """How much light each of a channel's 65,536 values is, 0 to 65,535, and the matrix, (3, 3),
    from such light to that of sRGB's channels; None for another kind of profile."""
    _opened(profile)
    tags = _tags(profile)
    if not tags.keys() >= {*_CURVES, *_COLUMNS} or any(name.startswith(b"A2B") for name in tags):
        return None
    linear = profile_of(b"GRAY", {b"kTRC": power(1)})
    light = {
        curve: _table(profile_of(b"GRAY", {b"kTRC": curve}), linear, "I;16").astype(np.float32)
        for curve in {tags[name] for name in _CURVES}
    }
    own = _tags(_srgb().tobytes())
    to_xyz, srgb = (np.transpose([_xyz(one[name]) for name in _COLUMNS]) for one in (tags, own))
    matrix = np.linalg.solve(srgb, to_xyz)
    return [light[tags[name]] for name in _CURVES], matrix.astype(np.float32)


def _table(source: bytes, target: bytes, mode: str) -> NDArray[np.uint16] | NDArray[np.uint8]:
    """What each of 65,536 levels of grey is in another space."""
    ramp = Image.fromarray(np.arange(65536, dtype=np.uint16)[None])
    transform = _transform(_opened(source), _opened(target), "I;16", mode)
    levels: NDArray[np.uint16] | NDArray[np.uint8] = np.asarray(
        ImageCms.applyTransform(ramp, transform)
    )[0]
    return levels


def _xyz(tag: bytes) -> NDArray[np.float64]:
    if len(tag) < 20:
        raise UnknownSpace("a column that is cut short")
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError) as error:
        raise UnknownSpace("no profile") from error


def _transform(
    source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile, mode: str, to: str
) -> ImageCms.ImageCmsTransform:
    # Of 16 bits littleCMS would make a table of some hundred steps, in which shadows end.
    flags = ImageCms.Flags.NOOPTIMIZE if mode == "I;16" else ImageCms.Flags.NONE
    try:
        return ImageCms.buildTransform(source, target, mode, to, flags=flags)
    except (ImageCms.PyCMSError, OSError) as error:
        raise UnknownSpace("a profile that lacks a part") from error


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _changes(transform: ImageCms.ImageCmsTransform) -> bool:
    levels = np.linspace(0, 255, _GRID).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(_GRID, -1, 3)
    shown = ImageCms.applyTransform(Image.fromarray(grid), transform)
    return int(np.abs(np.asarray(shown).astype(int) - grid).max()) > 1


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The tags of a profile that littleCMS has opened, by their signatures (ICC.1:2022, 7.3)."""
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(min(count, 100))]
    return {name: profile[start : start + size] for name, start, size in entries}
