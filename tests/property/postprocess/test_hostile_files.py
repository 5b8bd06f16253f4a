"""Whatever bytes come in: a picture or a refusal that a client may see, nothing else."""

import random

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from deployments.errors import RequestError
from deployments.postprocess.intake.fit import fit_upload
from deployments.postprocess.intake.limits import IntakeLimits
from tests.unit.postprocess.pictures import disc, image_file, noise

LIMITS = IntakeLimits(max_bytes=1_000_000, max_pixels=1_000_000)
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "ICO")
MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK", "YCbCr", "F")


def seeds() -> list[bytes]:
    files = []
    for file_format in FORMATS:
        for mode in MODES:
            image = Image.fromarray(np.ascontiguousarray(noise(24, 18)))
            try:
                image = (
                    Image.fromarray(np.arange(432, dtype=np.uint16).reshape(18, 24) * 150)
                    if (mode == "I;16")
                    else image.convert(mode)
                )
                files.append(image_file(image, file_format))
            except (OSError, ValueError, KeyError):
                continue  # this format has no such mode
    return files


FILES = seeds()


def handled(image: bytes, mask: bytes | None, fit: str) -> None:
    try:
        fitted = fit_upload(image, mask, None, None, fit, ((32, 32), (48, 32)), LIMITS)
    except RequestError:
        return
    assert fitted.picture.dtype == np.uint8
    assert fitted.picture.shape[2] == 3
    assert fitted.picture.shape[1::-1] in ((32, 32), (48, 32))
    assert fitted.mask is None or (fitted.mask.any() and fitted.mask.dtype == np.uint8)


def test_there_are_many_kinds_of_files() -> None:
    assert len(FILES) > 40
    for data in FILES:
        handled(data, None, "crop")
        handled(data, data, "pad")


@settings(
    max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(
    data=st.sampled_from(FILES),
    cut=st.floats(0, 1),
    flips=st.integers(0, 12),
    seed=st.integers(0, 2**16),
)
def test_damaged_files_end_in_a_picture_or_a_refusal(
    data: bytes, cut: float, flips: int, seed: int
) -> None:
    rng = random.Random(seed)
    damaged = bytearray(data[: max(1, int(len(data) * (1 - cut / 2)))])
    for _ in range(flips):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    handled(bytes(damaged), None, "crop")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.binary(max_size=400))
@example(data=b"\x89PNG\r\n\x1a\n")
@example(data=b"\xff\xd8\xff\xe0" + b"\0" * 64)
@example(data=b"RIFF\x10\0\0\0WEBPVP8L")
@example(data=b"\0\0\0\x20ftypavif" + b"\0" * 40)
def test_any_bytes_end_in_a_picture_or_a_refusal(data: bytes) -> None:
    handled(data, None, "crop")
    handled(image_file(Image.fromarray(disc(32, 32))), data, "pad")
