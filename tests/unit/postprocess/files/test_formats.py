"""Files: lossless where promised, profiled, and with readable metadata."""

import hashlib
import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, JpegImagePlugin

from deployments.postprocess.files import xmp as metadata
from deployments.postprocess.files.formats import encode
from deployments.postprocess.files.xmp import Marks
from deployments.postprocess.schema.placements import MEDIA_TYPES, Output
from tests.unit.postprocess.pictures import as_file, disc, noise

FACTS = {"prompt": 'a <red> fox & "friends" 여우\nat noon', "Signboard-Seed": "42"}


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_every_format_carries_profile_and_facts(name: str) -> None:
    data = encode(disc(64, 48), Output(name), FACTS)
    image = opened(data)
    assert (image.format, image.size, image.mode) == (name.upper(), (64, 48), "RGB")
    assert image.info["icc_profile"]
    assert metadata.read(data) == Marks(FACTS, metadata.SOURCE_TYPE)


@pytest.mark.parametrize("name", ["png", "webp"])
def test_lossless_formats_lose_nothing(name: str) -> None:
    pixels = noise(64, 64)
    data = encode(pixels, Output(name), {})
    assert np.array_equal(np.asarray(opened(data).convert("RGB")), pixels)


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_compression_is_quality(name: str) -> None:
    pixels = noise(128, 128)
    low, high = (len(encode(pixels, Output(name, quality), {})) for quality in (0, 90))
    assert low < 0.6 * high


def test_jpeg_keeps_colour_at_full_resolution() -> None:
    data = encode(disc(64, 64), Output("jpeg"), {})
    assert [component[1:3] for component in opened(data).layer] == [(1, 1)] * 3


def test_the_same_input_gives_the_same_bytes() -> None:
    for name in MEDIA_TYPES:
        output = Output(name)
        assert encode(disc(), output, FACTS) == encode(disc(), output, FACTS)


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_the_label_in_words(name: str) -> None:
    data = encode(disc(32, 32), Output(name), FACTS, "AI 생성 이미지")

    assert metadata.read(data) == Marks(FACTS, metadata.SOURCE_TYPE, "AI 생성 이미지")


def test_what_a_jpegs_segment_cannot_hold_is_parted_and_read_whole() -> None:
    facts = {"prompt": "길" * 90_000, "overlay": "<&\r\n>" * 20_000, "model": "tiny"}

    data = encode(disc(32, 32), Output("jpeg"), facts)

    assert metadata.read(data) == Marks(facts, metadata.SOURCE_TYPE)
    marks = [segment for name, segment in opened(data).applist if name == "APP1"]
    packet, *pieces = marks
    assert packet.startswith(b"http://ns.adobe.com/xap/1.0/\0<?xpacket")
    assert b"tiny" in packet
    assert all(len(mark) <= 65_533 for mark in marks)
    assert len(pieces) >= 6
    guid = ET.fromstring(packet[29:]).find(".//{http://ns.adobe.com/xmp/note/}HasExtendedXMP")
    assert guid is not None
    name = b"http://ns.adobe.com/xmp/extension/\0"
    whole = b""
    for piece in pieces:
        assert piece[:35] == name
        assert piece[35:67].decode() == guid.text
        assert int.from_bytes(piece[71:75], "big") == len(whole)
        whole += piece[75:]
    assert {piece[67:71] for piece in pieces} == {len(whole).to_bytes(4, "big")}
    assert hashlib.md5(whole).hexdigest().upper() == guid.text


def test_the_largest_packet_that_a_segment_holds_is_not_parted() -> None:
    room = metadata.PACKET_LIMIT - len(metadata.packet({"prompt": "x"}).standard)
    for spare, parted in ((0, False), (1, True)):
        facts = {"prompt": "x" * (1 + room + spare)}
        data = encode(disc(16, 16), Output("jpeg"), facts)
        assert metadata.read(data).facts == facts
        assert (b"HasExtendedXMP" in data) == parted


@pytest.mark.parametrize("damage", ["a piece is gone", "a byte is changed", "pieces are swapped"])
def test_a_damaged_extension_is_told(damage: str) -> None:
    facts = {"prompt": "x" * 150_000, "model": "tiny"}
    data = encode(disc(16, 16), Output("jpeg"), facts)
    *before, last = data.split(b"\xff\xe1")
    if damage == "a piece is gone":
        del before[-1]
    elif damage == "a byte is changed":
        before[-1] = before[-1][:-5] + b"!" + before[-1][-4:]
    else:  # they tell where they belong
        before[-1], before[-2] = before[-2], before[-1]

    marks = metadata.read(b"\xff\xe1".join([*before, last]))

    assert marks.facts == (facts if damage == "pieces are swapped" else {"model": "tiny"})
    assert bool(marks.warnings) == (damage != "pieces are swapped")


def test_facts_need_plain_names() -> None:
    for name in ("two words", "escaped", "1st"):
        with pytest.raises(ValueError, match="cannot name a fact"):
            metadata.packet({name: "x"})


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
@settings(max_examples=40, deadline=None, derandomize=True)
@given(value=st.text(st.characters(codec=None), max_size=60))
@example(value="a\x00b\ud800c\r\n\ud83d\ufffe \t")
def test_any_text_is_read_back_as_it_was(name: str, value: str) -> None:
    facts = {"prompt": value, "model": "tiny"}
    assert metadata.read(encode(disc(16, 16), Output(name), facts)).facts == facts


def test_a_file_without_facts_reads_as_none() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    assert metadata.read(buffer.getvalue()) == Marks({})


@pytest.mark.parametrize(
    "xmp",
    [
        b"no XML",
        b"\xff\xfe<",
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>",
        b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]><x>&b;</x>",
    ],
)
def test_xmp_that_is_none(xmp: bytes) -> None:
    marks = metadata.read(as_file(disc(16, 16), "WEBP", xmp=xmp))
    assert marks.facts == {}
    assert marks.warnings


def test_properties_that_another_tool_has_written_as_attributes() -> None:
    xmp = (
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'>"
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        "<rdf:Description rdf:about='' xmlns:s='urn:signboard:facts#' s:seed='7'/>"
        "</rdf:RDF></x:xmpmeta>"
    )
    assert metadata.read(as_file(disc(16, 16), "WEBP", xmp=xmp.encode())).facts == {"seed": "7"}


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "avif"])
def test_a_print_carries_its_resolution(kind: str) -> None:
    image = Image.open(io.BytesIO(encode(disc(64, 64), Output(kind), {"a": "b"}, dpi=300)))
    own = image.info.get("dpi")
    exif = image.getexif()
    found = own or (exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution])

    assert [round(float(value)) for value in found] == [300, 300]
    assert metadata.read(encode(disc(64, 64), Output(kind), {"a": "b"}, dpi=300)).facts == {
        "a": "b"
    }
    if own is None:
        assert exif[ExifTags.Base.ResolutionUnit] == 2  # inches


def test_a_jpeg_keeps_its_colours_at_full_resolution() -> None:
    pixels = noise(64, 48)
    image = opened(encode(pixels, Output("jpeg"), FACTS))
    assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4
    assert np.abs(np.asarray(image).astype(int) - pixels).mean() < 4
