"""What a file embeds is found in every format, and in bounded time whatever stands beside it."""

import time
import zlib
from dataclasses import asdict
from pathlib import Path

import pytest

from deployments.errors import InvalidValue, UnsupportedFile
from deployments.postprocess.files import embedded, facts, xmp
from deployments.postprocess.files.credentials import Signatory
from deployments.postprocess.files.formats import encode
from deployments.postprocess.files.inspection import inspect
from deployments.postprocess.schema.placements import MEDIA_TYPES, Output
from serve.http.wire.repeat import inspection_answer, repeat_of
from tests.certificates import write_chain
from tests.unit.postprocess.pictures import as_file, noise

FACTS = {"prompt": "a disc", "seed": "7"}


def timed(data: bytes) -> tuple[xmp.Marks, float]:
    began = time.process_time()
    marks = xmp.read(data)
    return marks, time.process_time() - began


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_open_instructions_take_no_time(kind: str) -> None:
    packet = b"<?xpacket " * (6_000 if kind == "JPEG" else 20_000)
    if kind == "PNG":
        text = b"XML:com.adobe.xmp\0\0\0\0\0" + packet
        whole = as_file(noise(24, 18), "PNG")
        sum_ = zlib.crc32(b"iTXt" + text).to_bytes(4)
        data = whole[:33] + len(text).to_bytes(4) + b"iTXt" + text + sum_ + whole[33:]
    else:
        data = as_file(noise(24, 18), kind, xmp=packet)

    marks, took_s = timed(data)

    assert marks.facts == {}
    assert "damaged" in marks.warnings[0]
    assert took_s < 0.5


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_what_is_too_long_is_told_and_not_read(name: str) -> None:
    size = 2 * embedded.MOST_XMP
    marks = xmp.read(encode(noise(24, 18), Output(name), {"prompt": "x" * size, "model": "tiny"}))

    assert "prompt" not in marks.facts
    assert len(marks.warnings) == 1
    assert xmp.read(encode(noise(24, 18), Output(name), FACTS)).warnings == ()


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_the_rest_of_the_metadata_is_passed_over(name: str) -> None:
    """EXIF that Pillow parses when it opens a JPEG or an AVIF: entries that name the same bytes."""
    count = 60_000
    entries = b"".join(
        tag.to_bytes(2, "little") + b"\7\0" + count.to_bytes(4, "little") + b"\x08\0\0\0"
        for tag in range(count)
    )
    head = b"II*\0\x08\0\0\0" + count.to_bytes(2, "little")
    if name == "jpeg":
        exif = b"Exif\0\0" + head + entries[:65_000]
        data = encode(noise(24, 18), Output(name), FACTS)
        data = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + data[2:]
    else:
        packet = xmp.packet(FACTS).standard
        options = {} if name == "png" else {"xmp": packet}
        data = as_file(noise(24, 18), name.upper(), exif=head + entries, **options)

    began = time.process_time()
    read = inspect(data)

    assert (read.format, read.width, read.height) == (name, 24, 18)
    assert read.making == ({} if name == "png" else {"prompt": "a disc", "seed": 7})
    assert time.process_time() - began < 1


def test_properties_in_every_spelling() -> None:
    names = (
        f"xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:s='{'urn:signboard:facts#'}'"
    )
    inner = "<r:Description s:model='not ours'>deep</r:Description>"
    packet = (
        f"<?xpacket begin='\ufeff'?><!-- noted --><r:RDF {names}>"
        "<r:Description s:seed='7'><s:prompt><![CDATA[a <disc>]]></s:prompt></r:Description>"
        f"<r:Description><s:style>{inner}</s:style></r:Description></r:RDF><?xpacket end='w'?>  \0"
    ).encode()

    marks = xmp.read(as_file(noise(24, 18), "WEBP", xmp=packet))

    assert marks == xmp.Marks({"seed": "7", "prompt": "a <disc>", "style": "deep"})


def test_an_empty_packet_says_nothing() -> None:
    for packet in (b"", b"<?xpacket begin=''?>  <?xpacket end='w'?>", b"\0\0  "):
        assert xmp.read(as_file(noise(24, 18), "WEBP", xmp=packet)) == xmp.Marks({})


def test_credentials_in_too_many_parts_are_not_checked(tmp_path: Path) -> None:
    signed = Signatory(write_chain(tmp_path)).sign(
        encode(noise(24, 18), Output("avif"), FACTS), "image/avif"
    )
    free = b"\0\0\0\x08free"

    few, many = inspect(signed + free * 9), inspect(signed + free * 20_000)

    assert few.credentials is not None
    assert few.warnings == ()
    assert many.credentials is None
    assert "credentials" in many.warnings[0]
    with pytest.raises(UnsupportedFile) as refused:
        inspect(signed + free * 100_000)
    assert refused.value.param == "image"


@pytest.mark.parametrize(
    "text", ["NaN", "-Infinity", "1e999", "9" * 300, "[" * 40 + "]" * 40, '"\\ud800"', "{"]
)
def test_facts_that_no_answer_can_carry_are_damaged(text: str) -> None:
    with pytest.raises(ValueError, match="'seed' is damaged"):
        facts.values({"prompt": "x", "seed": text})


@pytest.mark.parametrize(
    "odd",
    [{"overlay": [1]}, {"overlay": {"layouts": "x"}}, {"layout": "x"}, {"references": 5},
     {"references": [0] * 9999}, {"index": "x"}],
)  # fmt: skip
def test_facts_of_other_kinds_make_no_request(odd: dict[str, object]) -> None:
    making = {"prompt": "x", "seed": 7, "width": 64, "height": 64, "index": 10**9, **odd}
    with pytest.raises(InvalidValue, match="no picture's"):
        repeat_of(making)
    read = inspect(encode(noise(24, 18), Output("png"), FACTS))
    answer = inspection_answer({**asdict(read), "making": making}, kept=None)
    assert answer.repeat is None
    assert answer.warnings
