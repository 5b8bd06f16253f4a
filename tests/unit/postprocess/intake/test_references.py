"""References are read as they are: upright, in their own sizes, smaller where they must be."""

import io

import numpy as np
import pytest
from PIL import Image

from deployments.errors import InvalidValue, TooLarge, UnsupportedFile
from deployments.handover import Given
from deployments.postprocess.intake import IntakeLimits, add_references

LIMITS = IntakeLimits(max_bytes=10**6, max_pixels=10**6)
MOST = 128 * 128


def file(width: int, height: int, seed: int = 0, rotated: bool = False) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image, out = Image.fromarray(pixels), io.BytesIO()
    exif = image.getexif()
    if rotated:
        exif[0x0112] = 6
    image.save(out, "PNG", exif=exif)
    return out.getvalue()


def test_each_has_its_own_size() -> None:
    files = [file(70, 101), file(64, 96, rotated=True), file(256, 512)]
    given = add_references(None, files, MOST, LIMITS)
    assert given.picture is None
    assert given.reference_sizes == ((70, 101), (96, 64), (90, 181))
    with Image.open(io.BytesIO(files[0])) as image:
        assert np.array_equal(given.references[0].picture, np.asarray(image))


def test_what_was_read_is_read_again_to_the_bit() -> None:
    once = add_references(None, [file(300, 200)], MOST, LIMITS)
    out = io.BytesIO()
    Image.fromarray(once.references[0].picture).save(out, "PNG")
    again = add_references(None, [out.getvalue()], MOST, LIMITS)
    assert again.digest == once.digest
    assert np.array_equal(again.references[0].picture, once.references[0].picture)


def test_the_digest_tells_what_is_given_apart() -> None:
    one, other = file(64, 64), file(64, 64, seed=1)
    picture = np.zeros((64, 64, 3), np.uint8)
    digests = [
        add_references(given, files, MOST, LIMITS).digest
        for given in (None, Given(picture, digest="a"), Given(picture, digest="b"))
        for files in ([one], [other], [one, other], [other, one])
    ]
    assert len(set(digests)) == len(digests)
    assert add_references(Given(picture), [one], MOST, LIMITS).digest is None


@pytest.mark.parametrize(
    ("files", "error", "param"),
    [
        ([file(64, 64), file(63, 64)], InvalidValue, "references.1"),
        ([file(600, 70)], InvalidValue, "references.0"),
        ([b"no picture"], UnsupportedFile, "references.0"),
        ([b""], UnsupportedFile, "references.0"),
        ([file(1001, 1000)], TooLarge, "references.0"),
    ],
)
def test_refusals_name_the_picture(
    files: list[bytes], error: type[InvalidValue | UnsupportedFile | TooLarge], param: str
) -> None:
    with pytest.raises(error) as caught:
        add_references(None, files, MOST, LIMITS)
    assert caught.value.param == param
