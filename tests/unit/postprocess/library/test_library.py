"""What is kept, for how long, and that damage is a miss."""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deployments.postprocess.library import references
from deployments.postprocess.library.blobs import HALF, BlobStore
from deployments.postprocess.library.library import Drawing, Library, Record, Result
from deployments.postprocess.library.references import digest
from deployments.postprocess.schema import image_reference
from deployments.postprocess.schema.image_reference import new_id
from deployments.postprocess.schema.overlay import OverlaySpec, TextLayer
from deployments.postprocess.schema.placements import Output

KEY = digest(b"a request")
MIB = 2**20

OTHER_PROCESS = """
import sys
from tests.unit.postprocess.library.test_library import open_library, keep
library = open_library(sys.argv[1])
for turn in range(30):
    one = keep(library, [b"the same", f"own {turn}".encode()])
    library.remove(one.id)
"""


def open_library(folder: object, max_bytes: int = 64 * MIB) -> Library:
    return Library(BlobStore(str(folder)), max_bytes)


def drawing(source: bytes | None = None) -> Drawing:
    return Drawing(
        facts={"model": "tiny"},
        asked={"prompt": "a disc", "seed": 3},
        steps_executed=8,
        source=None if source is None else digest(source),
    )


def record(clean: bytes, how: Drawing, key: str | None = None) -> Record:
    return Record(
        id=new_id(),
        created=0,
        drawing=how,
        seed=3,
        width=8,
        height=8,
        clean=digest(clean),
        result=key,
        overlay=OverlaySpec(layers=[TextLayer(role="headline", text="지금")]),
        placement="story",
        output=Output("jpeg", 80),
    )


def keep(library: Library, files: Sequence[bytes], key: str | None = None) -> Record:
    """Keep one picture, the second file its source, as the result of `key`; its record."""
    clean, *sources = files
    how = drawing(*sources)
    one = record(clean, how, key)
    objects = {digest(file): file for file in files}
    if key is not None:
        objects[key] = Result(drawing=how, pictures=(digest(clean),), seeds=(3,)).to_json()
    library.keep([one], objects)
    return one


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return open_library(tmp_path)


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_picture_is_found_again_by_another_process(library: Library, tmp_path: Path) -> None:
    one = keep(library, [b"clean", b"source"])

    again = open_library(tmp_path)
    assert again.record(one.id) == one
    assert again.file(one.clean) == b"clean"
    assert again.file(digest(b"source")) == b"source"


def test_a_result_is_recalled_with_its_files_and_counted(library: Library) -> None:
    assert library.recall(KEY) is None
    keep(library, [b"clean", b"source"], KEY)

    found = library.recall(KEY)

    assert found is not None
    result, files = found
    assert result.pictures == (digest(b"clean"),)
    assert result.drawing.steps_executed == 8
    assert files == {digest(b"clean"): b"clean", digest(b"source"): b"source"}
    assert (library.counters().hits, library.counters().misses) == (1, 1)


def test_removing_takes_along_what_nobody_else_holds(library: Library, tmp_path: Path) -> None:
    one = keep(library, [b"clean", b"source"], KEY)
    two = keep(library, [b"another", b"source"])

    assert library.remove(one.id)

    assert library.record(one.id) is None
    assert library.recall(KEY) is None
    assert library.file(digest(b"clean")) is None
    assert library.file(digest(b"source")) == b"source"
    assert library.remove(two.id)
    assert files_below(tmp_path) == []
    assert not library.remove(two.id)
    assert library.counters().bytes == library.counters().pictures == 0


def test_a_result_lives_while_one_of_its_pictures_does(library: Library) -> None:
    first = keep(library, [b"clean"], KEY)
    keep(library, [b"clean"], KEY)
    library.remove(first.id)

    assert library.recall(KEY) is not None


@pytest.mark.parametrize("damage", [b"", b"short", b'{"version": 2}', b"\xff\x00"])
def test_damage_is_a_miss_and_is_mended_by_the_next(
    library: Library, tmp_path: Path, damage: bytes
) -> None:
    one = keep(library, [b"clean"], KEY)
    for name in (one.id, KEY, one.clean):
        (path,) = (path for path in tmp_path.rglob(name) if path.is_file())
        path.write_bytes(damage)
        if name == one.id:
            assert library.record(one.id) is None
            assert library.page(None, 9) == ([], False)
            assert not library.remove(one.id)
        else:
            assert library.recall(KEY) is None
            keep(library, [b"clean"], KEY)
            assert library.recall(KEY) is not None


def test_pages_are_the_newest_first(library: Library) -> None:
    kept = [keep(library, [b"clean"]).id for _ in range(5)]
    newest = sorted(kept, reverse=True)

    first, more = library.page(None, 2)
    rest, no_more = library.page(first[-1].id, 9)

    assert [one.id for one in first + rest] == newest
    assert more
    assert not no_more


def test_the_oldest_go_when_there_is_no_room(tmp_path: Path) -> None:
    bound = 4 * MIB
    library = open_library(tmp_path, bound)
    kept = []
    for turn in range(40):
        kept.append(keep(library, [bytes([turn]) * 300_000]).id)
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= bound

    there = [picture_id for picture_id in kept if library.record(picture_id)]
    assert there == kept[-len(there) :]
    assert len(there) * 300_000 > bound * 3 // 4
    counters = library.counters()
    assert counters.pictures == len(there)
    assert counters.bytes == sum(
        path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()
    )


def test_what_is_larger_than_the_library_is_not_kept(tmp_path: Path) -> None:
    library = open_library(tmp_path, 1000)

    with pytest.raises(ValueError, match="library's 1000"):
        keep(library, [bytes(2000)])

    assert files_below(tmp_path) == []


def test_a_sweep_clears_what_a_killed_process_left(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(library, [b"clean"])
    for folder in ("pictures", "holds", HALF):
        (tmp_path / folder / ".DS_Store").write_bytes(b"somebody else's")
    before = files_below(tmp_path)
    store, held = BlobStore(str(tmp_path)), references.References(BlobStore(str(tmp_path)))
    for name in (b"one", b"two"):  # killed before the record was written
        held.hold(new_id(), digest(name), name)
    store.remove(next(path for path in _paths(tmp_path, "holds") if digest(b"two") in path))
    store.write(f"{HALF}/{new_id()}", b"half")

    library.sweep()
    assert held.read(digest(b"one")) == b"one"  # its process may be at it still
    assert held.read(digest(b"two")) is None

    now = image_reference.time.time()
    monkeypatch.setattr(references.time, "time", lambda: now + 2 * references.ABANDONED_S)
    library.sweep()
    library.sweep()
    assert files_below(tmp_path) == before


def _paths(folder: Path, below: str) -> list[str]:
    return [str(path.relative_to(folder)) for path in (folder / below).rglob("*.img_*")]


def test_who_joins_while_an_object_is_removed_keeps_it(tmp_path: Path) -> None:
    class Interrupted(BlobStore):
        """Lets another holder in at the worst moment: when nobody was seen to hold the object."""

        def read(self, path: str) -> bytes | None:
            data = super().read(path)
            assert other.hold(new_id(), name, b"clean") == 0
            return data

    name, first = digest(b"clean"), new_id()
    other = references.References(BlobStore(str(tmp_path)))
    other.hold(first, name, b"clean")

    assert references.References(Interrupted(str(tmp_path))).release(first, name) == 0

    assert other.read(name) == b"clean"


def test_many_at_once_and_in_two_processes_lose_nothing(library: Library, tmp_path: Path) -> None:
    held = keep(library, [b"the same"])

    def churn(thread: int) -> None:
        for turn in range(30):
            one = keep(library, [b"the same", f"{thread} {turn}".encode()], KEY)
            assert library.file(one.clean) == b"the same"
            library.remove(one.id)

    other = subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, str(tmp_path)])
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(churn, thread) for thread in range(4)]:
            done.result()
    assert other.wait(120) == 0

    assert library.file(held.clean) == b"the same"
    library.remove(held.id)
    assert files_below(tmp_path) == []
