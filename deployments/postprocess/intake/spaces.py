"""Colour spaces that files name by numbers, as the ICC profiles that would describe them.

The numbers are those of ITU-T H.273 (PNG's cICP, AVIF's nclx), or a gamma and primaries (PNG's gAMA
and cHRM).
"""

import struct
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Chromaticities = tuple[float, ...]  # x and y of white, red, green, blue

_D65, _C, _E = (0.3127, 0.329), (0.31, 0.316), (1 / 3, 1 / 3)
BT709: Chromaticities = (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_SMPTE_170M = (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07)
PRIMARIES: Mapping[int, Chromaticities] = MappingProxyType(
    {
        1: BT709,
        4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
        5: (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
        6: _SMPTE_170M,
        7: _SMPTE_170M,
        8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
        9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
        10: (*_E, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
        11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
        12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
        22: (*_D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
    }
)
"""ITU-T H.273, table 2."""
_LIKE_SRGB = (1, 6, 7, 11, 12, 13, 14, 15)
"""Of H.273's table 3, what viewers show by sRGB's curve: all video of standard range."""
_GAMMAS: Mapping[int, float] = MappingProxyType({4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6})
UNSPECIFIED, _PQ, _HLG = 2, 16, 18
HDR = (_PQ, _HLG)
_CURVE = 4096  # entries of a curve that is given as a table
_PAPER_NITS, _PEAK_NITS = 203.0, 10_000.0  # ITU-R BT.2408: white paper; BT.2100: PQ's end
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50 = np.array([0.9642, 1.0, 0.8249])
CUT = "it is of high dynamic range: what is brighter than white paper is cut"


class UnknownSpace(ValueError):
    """Numbers that name no space that is known here, or bytes that are no profile."""


def named(primaries: int, transfer: int) -> bytes | None:
    """The profile of a space by its numbers; None for sRGB, or what is left to the viewer.

    What is brighter than white paper in PQ and HLG is cut there. Raises UnknownSpace.
    """
    if UNSPECIFIED in (primaries, transfer):
        return None
    if primaries not in PRIMARIES:
        raise UnknownSpace(f"primaries {primaries}")
    if primaries == 1 and transfer in _LIKE_SRGB:
        return None
    return _described(PRIMARIES[primaries], _curve(transfer))


def of_gamma(gamma: float, chromaticities: Chromaticities | None) -> bytes | None:
    """The profile of a file whose values are light to the power of `gamma`; None for sRGB.

    Raises UnknownSpace for what no display could show.
    """
    primaries = chromaticities or BT709
    if np.abs(np.subtract(primaries, BT709)).max() < 0.002:
        if abs(gamma * 2.2 - 1) < 0.05:  # libpng's threshold; files of sRGB say 1/2.2
            return None
        primaries = BT709
    if not 0.1 <= gamma <= 10:
        raise UnknownSpace(f"gamma {gamma:g}")
    return _described(primaries, power(1 / gamma))


def _described(primaries: Chromaticities, curve: bytes) -> bytes:
    """A profile of three primaries and one curve."""
    pairs = np.array(primaries).reshape(4, 2)
    if not (pairs[:, 1] > 0.0005).all() and primaries != PRIMARIES[10]:
        raise UnknownSpace("chromaticities")
    xyz = np.column_stack([pairs, 1 - pairs.sum(axis=1)])
    white = xyz[0] / xyz[0, 1]
    # The sum of the primaries is the white (SMPTE RP 177); Bradford takes it to ICC's D50.
    try:
        matrix = xyz[1:].T * np.linalg.solve(xyz[1:].T, white)
    except np.linalg.LinAlgError as error:
        raise UnknownSpace("chromaticities") from error
    adapted = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    columns = (adapted @ _BRADFORD @ matrix).T
    if not np.isfinite(columns).all() or np.abs(columns).max() > 100:
        raise UnknownSpace("chromaticities")
    tags = {f"{channel}TRC".encode(): curve for channel in "rgb"}
    for channel, column in zip("rgb", columns, strict=True):
        tags[f"{channel}XYZ".encode()] = _xyz(column)
    return profile_of(b"RGB ", tags)


def profile_of(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """A display profile (ICC.1:2022) with these tags and what every profile has. space: as ICC
    writes it, "GRAY" or "RGB "."""
    words = (
        b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, 2, 28) + "-".encode("utf-16-be")
    )
    every = {b"desc": words, b"cprt": words, b"wtpt": _xyz(_D50), **tags}
    table, body = struct.pack(">I", len(every)), b""
    start = 128 + 4 + 12 * len(every)
    for name, data in every.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = start + len(body)
    head = struct.pack(
        ">IIIII", size, 0, 0x04400000, int.from_bytes(b"mntr"), int.from_bytes(space)
    )
    head += b"XYZ " + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    return head + _s15(_D50) + bytes(128 - len(head) - 12) + table + body


def _curve(transfer: int) -> bytes:
    if transfer in _LIKE_SRGB:
        return SRGB_CURVE
    if transfer in _GAMMAS:
        return power(_GAMMAS[transfer])
    if transfer in HDR:
        signal = np.linspace(0, 1, _CURVE)
        light = _pq(signal) if transfer == _PQ else _hlg(signal)
        levels = np.clip(light * 65535 + 0.5, 0, 65535).astype(">u2")
        return b"curv" + struct.pack(">II", 0, _CURVE) + levels.tobytes()
    raise UnknownSpace(f"transfer {transfer}")


def _pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084's light, 1 being white paper."""
    root = signal ** (32 / 2523)
    light = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    return light ** (8192 / 1305) * (_PEAK_NITS / _PAPER_NITS)


def _hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """ITU-R BT.2100's light of HLG on a display of 1,000 nits, 1 being white paper."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return scene**1.2 * (1000 / _PAPER_NITS)


def power(exponent: float) -> bytes:
    """A curve as ICC writes it: light is the value to that power."""
    return b"para" + struct.pack(">IHH", 0, 0, 0) + _s15([exponent])


def _xyz(values: Iterable[float]) -> bytes:
    return b"XYZ " + bytes(4) + _s15(values)


def _s15(values: Iterable[float]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


SRGB_CURVE = (
    b"para"
    + struct.pack(">IHH", 0, 3, 0)
    + _s15([2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045])
)
