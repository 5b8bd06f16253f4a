"""Files: lossless where promised, profiled, and with readable metadata."""

import io

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from deployments.postprocess import metadata
from deployments.postprocess.encode import MEDIA_TYPES, encode
from deployments.postprocess.spec import Output
from tests.unit.postprocess.pictures import disc, noise

FACTS = {"prompt": 'a <red> fox & "friends" 여우\nat noon', "Signboard-Seed": "42"}


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_every_format_carries_profile_and_facts(name: str) -> None:
    data, warnings = encode(disc(64, 48), Output(name), FACTS)
    image = opened(data)
    assert (image.format, image.size, image.mode) == (name.upper(), (64, 48), "RGB")
    assert image.info["icc_profile"]
    assert metadata.read(data) == FACTS
    assert metadata.SOURCE_TYPE.encode() in data
    assert warnings == ()


@pytest.mark.parametrize("name", ["png", "webp"])
def test_lossless_formats_lose_nothing(name: str) -> None:
    pixels = noise(64, 64)
    data, _ = encode(pixels, Output(name), {})
    assert np.array_equal(np.asarray(opened(data).convert("RGB")), pixels)


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_compression_is_quality(name: str) -> None:
    pixels = noise(128, 128)
    low, high = (len(encode(pixels, Output(name, quality), {})[0]) for quality in (0, 90))
    assert low < 0.6 * high


def test_jpeg_keeps_colour_at_full_resolution() -> None:
    data, _ = encode(disc(64, 64), Output("jpeg"), {})
    assert [component[1:3] for component in opened(data).layer] == [(1, 1)] * 3


def test_the_same_input_gives_the_same_bytes() -> None:
    for name in MEDIA_TYPES:
        output = Output(name)
        assert encode(disc(), output, FACTS) == encode(disc(), output, FACTS)


def test_facts_too_long_for_a_jpeg_are_left_out_with_a_warning() -> None:
    facts = {"prompt": "길" * 40_000, "model": "tiny"}
    data, warnings = encode(disc(32, 32), Output("jpeg"), facts)
    assert metadata.read(data) == {"model": "tiny"}
    assert "prompt" in warnings[0]


def test_facts_need_plain_names_and_lose_what_xml_cannot_carry() -> None:
    with pytest.raises(ValueError, match="cannot name a fact"):
        metadata.packet({"two words": "x"})
    data, _ = encode(disc(16, 16), Output("png"), {"prompt": "a\x00b\ud800c"})
    assert metadata.read(data) == {"prompt": "a\ufffdb\ufffdc"}


def test_a_file_without_facts_reads_as_none() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    assert metadata.read(buffer.getvalue()) == {}


def test_a_jpeg_keeps_its_colours_at_full_resolution() -> None:
    pixels = noise(64, 48)
    image = opened(encode(pixels, Output("jpeg"), FACTS)[0])
    assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4
    assert np.abs(np.asarray(image).astype(int) - pixels).mean() < 4
