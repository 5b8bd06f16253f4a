"""Files that are there whole or not at all, on a folder and on an object store."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from deployments.postprocess.library.blobs import HALF, BlobStore
from tests.polling import wait_until

WRITER = """
import sys
from deployments.postprocess.library.blobs import BlobStore
store = BlobStore(sys.argv[1])
turn = 0
while True:
    store.write("a/file", bytes([turn % 256]) * 4_000_000)
    turn += 1
"""


@pytest.fixture(params=["folder", "objects"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return BlobStore(str(tmp_path) if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def test_what_was_written_is_read(store: BlobStore) -> None:
    store.write("a/b/file", b"old")
    store.write("a/b/file", b"new")

    assert store.read("a/b/file") == b"new"
    assert store.exists("a/b/file")
    assert store.names("a/b") == ["file"]
    assert store.sizes("a") == {"file": 3}


def test_what_is_not_there_is_no_error(store: BlobStore) -> None:
    store.remove("a/file")

    assert store.read("a/file") is None
    assert not store.exists("a/file")
    assert store.names("a") == []
    assert store.sizes("a") == {}


def test_removed_is_gone(store: BlobStore) -> None:
    store.write("a/file", b"x")
    store.remove("a/file")

    assert store.read("a/file") is None


def test_a_killed_writer_leaves_nothing_half(tmp_path: Path) -> None:
    store = BlobStore(str(tmp_path))
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)])
    seen = set()
    try:

        def whole() -> bool:
            data = store.read("a/file")
            if data is not None:
                assert len(data) == 4_000_000
                assert data == data[:1] * len(data)
                seen.add(data[0])
            return len(seen) > 20

        wait_until(whole, 60, 0.001)
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()

    data = store.read("a/file")
    assert data == (data or b"")[:1] * 4_000_000
    assert store.names("a") == ["file"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = BlobStore(str(tmp_path))
    store.write("a/file", b"old")
    (tmp_path / "b").write_bytes(b"a file where a folder is wanted")

    with pytest.raises(FileExistsError):
        store.write("b/file", b"new")

    assert store.names(HALF) == []
    assert store.read("a/file") == b"old"


@pytest.mark.parametrize("address", ["pictures", "./pictures", "bogus://bucket/x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=address.partition(":")[0]):
        BlobStore(address)
