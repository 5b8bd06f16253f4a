"""Files that are signed say so, and say when they were changed; a bad key is refused at once."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.postprocess.files import credentials, xmp
from deployments.postprocess.files.credentials import (
    UNSIGNED,
    CredentialFiles,
    Credentials,
    Signatory,
    sign_all,
    sign_one,
)
from deployments.postprocess.files.formats import encode
from deployments.postprocess.files.xmp import SOURCE_TYPE
from deployments.postprocess.schema.delivery import Delivery, File
from deployments.postprocess.schema.placements import MEDIA_TYPES, Output
from deployments.postprocess.schema.reports import Finished
from serve.settings import AppArgs
from tests.certificates import write_chain
from tests.unit.postprocess.pictures import noise

FACTS = {"model": "tiny", "revision": "abc", "signboard": "1.2", "prompt": "x" * 90_000}
SOUND = Credentials(
    state="Valid",
    issuer="Signboard's tests",
    signer="A test's signer",
    maker="Signboard 1.2",
    digital_source_type=SOURCE_TYPE,
    problems=("signingCredential.untrusted",),  # nobody's list names this authority
)


@pytest.fixture
def files(tmp_path: Path) -> CredentialFiles:
    return write_chain(tmp_path)


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_every_format_is_signed_and_checked(name: str, files: CredentialFiles) -> None:
    plain = encode(noise(96, 64), Output(name), FACTS, "AI-generated image")
    kind = MEDIA_TYPES[name]

    signed = Signatory(files).sign(plain, kind)

    assert credentials.read(plain, kind) is None
    assert credentials.read(signed, kind) == SOUND
    assert xmp.read(signed) == xmp.read(plain)
    assert len(signed) - len(plain) < 5_000  # no thumbnail
    before, after = (np.asarray(Image.open(io.BytesIO(data))) for data in (plain, signed))
    assert np.array_equal(before, after)


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_a_changed_byte_is_found_out(name: str, files: CredentialFiles) -> None:
    kind = MEDIA_TYPES[name]
    signed = bytearray(Signatory(files).sign(encode(noise(96, 64), Output(name), FACTS), kind))
    signed[signed.index(b"x" * 50) + 20] = ord("y")  # of the prompt

    found = credentials.read(bytes(signed), kind)

    assert found is not None
    assert found.state == "Invalid"
    assert any("mismatch" in problem for problem in found.problems)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key": "/nowhere/key.pem"}, "credentials.key: cannot be read"),
        ({"certificates": "/nowhere/chain.pem"}, "credentials.certificates: cannot be read"),
        ({"algorithm": "ps256"}, "nothing can be signed"),
    ],
)
def test_what_cannot_sign_is_refused_at_the_start(
    files: CredentialFiles, change: dict[str, str], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        AppArgs(credentials={**files.model_dump(), **change})
    assert AppArgs(credentials=files.model_dump()).credentials == files


def test_a_certificate_of_another_key_and_one_that_has_expired(tmp_path: Path) -> None:
    for folder in ("one", "other", "old"):
        (tmp_path / folder).mkdir()
    one, other = write_chain(tmp_path / "one"), write_chain(tmp_path / "other")
    old = write_chain(tmp_path / "old", valid=False)
    for bad in (one.model_copy(update={"key": other.key}), old):
        with pytest.raises(ValueError, match="credentials"):
            Signatory(bad)


def test_a_file_that_cannot_be_signed_goes_out_with_a_warning(files: CredentialFiles) -> None:
    good = Finished(encode(noise(32, 32), Output("png"), FACTS), "image/png", 32, 32)
    bad = replace(good, media_type="image/x-none")
    delivery = Delivery(("a", "b"), (good, bad), (0, 1), (1, 2), (32, 32), 8, 8, {}, ())

    signed = sign_all(delivery, Signatory(files))

    assert credentials.read(signed.pictures[0].data, "image/png") == SOUND
    assert signed.pictures[1].data == bad.data
    assert [picture.warnings for picture in signed.pictures] == [(), (UNSIGNED,)]
    assert signed.timings_ms["sign"] > 0
    assert sign_all(delivery, None) is delivery
    file = File(good.data, "image/png")
    assert sign_one(file, None) is file
    assert credentials.read(sign_one(file, Signatory(files)).data, "image/png") == SOUND
