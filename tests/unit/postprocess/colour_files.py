"""Files in other colour spaces than sRGB, and profiles written without the code that reads them."""

import io
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.unit.postprocess.pictures import image_file

# Columns of RGB to XYZ under D50, as the makers' own profiles have them.
_COLUMNS = """
sRGB     0.43607 0.22249 0.01392   0.38515 0.71687 0.09708   0.14307 0.06061 0.71410
P3       0.51512 0.24120 -0.00105  0.29198 0.69225 0.04189   0.15710 0.06657 0.78407
Adobe    0.60974 0.31111 0.01947   0.20528 0.62567 0.06087   0.14919 0.06322 0.74457
ProPhoto 0.79770 0.28804 0.00000   0.13518 0.71188 0.00000   0.03134 0.00009 0.82491
Rec2020  0.67348 0.27904 -0.00194  0.16566 0.67535 0.02998   0.12505 0.04561 0.79686
"""
COLORANTS: Mapping[str, NDArray[np.float64]] = {
    name: np.array(values, float).reshape(3, 3)
    for name, *values in map(str.split, _COLUMNS.strip().splitlines())
}
SRGB_TABLE = np.where(
    (ramp := np.linspace(0, 1, 1024)) <= 0.04045, ramp / 12.92, ((ramp + 0.055) / 1.055) ** 2.4
)


def curve(gamma: float | None) -> bytes:
    """Of a power, or sRGB's as a table."""
    if gamma is not None:
        return struct.pack(">4sIIH", b"curv", 0, 1, round(gamma * 256)) + b"\0\0"
    levels = np.round(SRGB_TABLE * 65535).astype(">u2")
    return struct.pack(">4sII", b"curv", 0, len(levels)) + levels.tobytes()


def profile(space: str, tags: Mapping[str, bytes], kind: str = "mntr", pcs: str = "XYZ ") -> bytes:
    """An ICC profile of version 2."""
    text = b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(79)
    every = {"desc": text, "cprt": b"text\0\0\0\0x\0\0\0", "wtpt": xyz((0.9642, 1, 0.8249)), **tags}
    table, body, start = struct.pack(">I", len(every)), b"", 132 + 12 * len(every)
    for name, data in every.items():
        table += struct.pack(">4sII", name.encode(), start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">III", start + len(body), 0, 0x02400000)
    head += (kind + space + pcs).encode() + bytes(12) + b"acsp" + bytes(28)
    head += xyz((0.9642, 1, 0.8249))[8:]
    return head + bytes(128 - len(head)) + table + body


def xyz(values: Iterable[float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def rgb_profile(colorants: str, gamma: float | None) -> bytes:
    columns = COLORANTS[colorants]
    tags = {f"{c}XYZ": xyz(column) for c, column in zip("rgb", columns, strict=True)}
    return profile("RGB ", {**tags, **{f"{c}TRC": curve(gamma) for c in "rgb"}})


def grey_profile(gamma: float | None) -> bytes:
    return profile("GRAY", {"kTRC": curve(gamma)})


def cmyk_profile() -> bytes:
    """Inks that darken white paper, each in its own way, by a table of two levels an ink."""
    inks = np.array([[-40, -35, -45], [-50, 75, -5], [-10, -5, 90], [-85, 0, 0]], float)
    grid = np.array(np.meshgrid(*[[0, 1]] * 4, indexing="ij")).reshape(4, -1).T
    lab = np.array([96.0, 0, 0]) + grid @ inks
    lab[:, 0] = np.clip(lab[:, 0], 4, 100)
    coded = np.column_stack([lab[:, 0] * 652.8, (lab[:, 1:] + 128) * 256])
    table = struct.pack(">4sIBBBB", b"mft2", 0, 4, 3, 2, 0)
    table += struct.pack(">9i", *(65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    table += struct.pack(">HH", 2, 2) + struct.pack(">8H", *(0, 65535) * 4)
    table += np.clip(coded, 0, 65535).astype(">u2").tobytes() + struct.pack(">6H", *(0, 65535) * 3)
    return profile("CMYK", {"A2B0": table}, "prtr", "Lab ")


PROFILES: Mapping[str, bytes] = {
    "sRGB": rgb_profile("sRGB", None),
    "Display P3": rgb_profile("P3", None),
    "Adobe RGB": rgb_profile("Adobe", 2.19921875),
    "ProPhoto": rgb_profile("ProPhoto", 1.8),
    "linear": rgb_profile("sRGB", 1.0),
    "linear Rec. 2020": rgb_profile("Rec2020", 1.0),
}


def patches(channels: int, side: int = 16) -> NDArray[np.uint8]:
    """Blocks of colours, uint8 (6 side, 6 side, channels), whose middles outlast compression."""
    rng = np.random.default_rng(3)
    blocks = rng.integers(20, 236, (6, 6, channels), dtype=np.uint8)
    blocks[0, 0], blocks[0, 1], blocks[0, 2] = 0, 255, 12
    return blocks.repeat(side, 0).repeat(side, 1)


def middles(pixels: NDArray[np.uint8], side: int = 16) -> NDArray[np.int64]:
    return pixels[side // 2 :: side, side // 2 :: side].astype(int)


def judged(image: Image.Image, icc: bytes | None) -> NDArray[np.uint8]:
    """Eight bits a sample as sRGB by ImageCms, alpha aside."""
    if icc is None:
        return np.asarray(image.convert("RGB"))
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    srgb = ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image, source, srgb, outputMode="RGB"))


def by_arithmetic(
    levels: NDArray[np.floating[Any]], colorants: str, gamma: float | None
) -> NDArray[np.float64]:
    """Levels 0 to 1 (..., 3) as sRGB levels 0 to 255, in floating point."""
    light = np.interp(levels, ramp, SRGB_TABLE) if gamma is None else levels**gamma
    to_xyz, from_xyz = (COLORANTS[name].T for name in (colorants, "sRGB"))
    linear = np.clip(light @ (np.linalg.inv(from_xyz) @ to_xyz).T, 0, 1)
    shown = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(shown * 255)


def png(pixels: NDArray[Any], *chunks: tuple[bytes, bytes]) -> bytes:
    """uint8 or uint16 (H, W[, 3 or 4]) with chunks behind its header."""
    order = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    if pixels.dtype == np.uint8:
        file = image_file(Image.fromarray(pixels))
    else:
        file = cv2.imencode(".png", order)[1].tobytes()
    return file[:33] + b"".join(chunk(*one) for one in chunks) + file[33:]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def iccp(icc: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"x\0\0" + zlib.compress(icc)


def gama(gamma: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(gamma * 100_000))


def cicp(primaries: int, transfer: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes((primaries, transfer, 0, 1))


def with_nclx(avif: bytes, primaries: int, transfer: int) -> bytes:
    """The same AVIF, its colours named otherwise."""
    at = avif.index(b"nclx") + 4
    return avif[:at] + struct.pack(">HH", primaries, transfer) + avif[at + 4 :]
