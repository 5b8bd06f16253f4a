"""Hundreds of odd and hostile files: each ends in a picture or a refusal, soon, in little memory.

They are read in a process of their own, since only its peak tells what the decoders take, and a
decoder that crashes takes its process along.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.postprocess.files.credentials import Signatory
from deployments.postprocess.files.formats import encode
from deployments.postprocess.schema.placements import MEDIA_TYPES, Output
from tests.certificates import write_chain
from tests.hostile_files import large_files, small_files
from tests.hostile_metadata import hostile_metadata
from tests.unit.postprocess.pictures import noise

SLOWEST_S = 2.0
MOST_BYTES = 500 * 2**20

READER = """
import json, resource, sys, time
from pathlib import Path
from fastapi.encoders import jsonable_encoder
from starlette.responses import JSONResponse
from deployments.errors import RequestError
from deployments.postprocess.intake import fit_upload
from deployments.postprocess.kept_pictures import inspect_file
from serve.http.wire import inspection_answer
from serve.settings import AppArgs

args = AppArgs(library=None)
limits = args.intake_limits

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def outcome(task):
    try:
        return type(task()).__name__
    except RequestError as error:
        return error.code

def inspect(data):
    return JSONResponse(jsonable_encoder(inspection_answer(inspect_file(data, None), None)))

files = sorted(Path(sys.argv[1]).iterdir())
fit = lambda data: fit_upload(data, None, None, None, "crop", ((256, 256), (256, 384)), limits)
outcome(lambda: fit(files[0].read_bytes()))
outcome(lambda: inspect(files[0].read_bytes()))
for file in files:
    data, before, read = file.read_bytes(), peak(), {}
    for name, task in (("fit", fit), ("inspect", inspect)):
        began = time.process_time()
        read[name] = outcome(lambda: task(data))
        read[f"{name}_s"] = time.process_time() - began
    print(json.dumps({**read, "file": file.name, "grown": peak() - before}), flush=True)
"""


def read_all(files: dict[str, bytes], folder: Path) -> dict[str, dict[str, object]]:
    """What became of each file, by its name."""
    names = {f"{number:04}": name for number, name in enumerate(files)}
    for number, name in names.items():
        (folder / number).write_bytes(files[name])
    done = subprocess.run(
        [sys.executable, "-c", READER, str(folder)], capture_output=True, text=True, check=False
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    read = {names[line.pop("file")]: line for line in lines}
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:], list(read)[-1:])
    assert set(read) == set(files)
    return read


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A signed file in every format."""
    signatory = Signatory(write_chain(tmp_path_factory.mktemp("chain")))
    facts = {"prompt": "a disc", "model": "tiny"}
    return {
        name: signatory.sign(encode(noise(64, 48), Output(name), facts), kind)
        for name, kind in MEDIA_TYPES.items()
    }


def test_small_files(signed: dict[str, bytes], tmp_path: Path) -> None:
    read = read_all(small_files(signed), tmp_path)

    print(len(read), "files;", {one["fit"] for one in read.values()})
    assert len(read) >= 500
    taken = [name for name, one in read.items() if one["fit"] == "Given"]
    assert 100 < len(taken) < len(read) - 100
    assert {"moving WEBP", "CMYK in JPEG", "I;16 in PNG", "AVIF turned 6"} <= set(taken)
    slow = {n: one for n, one in read.items() if max(one["fit_s"], one["inspect_s"]) > SLOWEST_S}
    assert not slow
    grown = sum(int(str(one["grown"])) for one in read.values())  # the peak of the whole run
    assert grown < MOST_BYTES


def test_the_largest_files_one_by_one(tmp_path: Path) -> None:
    files = large_files()
    for number, (name, data) in enumerate(files.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        read = read_all({"warm": b"no picture", name: data}, folder)[name]
        assert (read["fit"] == "Given") == name.startswith("largest"), read
        assert max(read["fit_s"], read["inspect_s"]) < SLOWEST_S, (name, read)
        assert read["grown"] < MOST_BYTES, (name, read)


def test_hostile_metadata(signed: dict[str, bytes], tmp_path: Path) -> None:
    read = read_all(hostile_metadata(signed), tmp_path)

    slow = {n: one for n, one in read.items() if max(one["fit_s"], one["inspect_s"]) > SLOWEST_S}
    assert not slow
    grown = sum(int(str(one["grown"])) for one in read.values())
    print(len(read), "files;", grown, "bytes")
    assert grown < MOST_BYTES
    for said in ("xmp of", "fact ", "iptc:", "exif circle"):  # none of these costs the picture
        assert {one["fit"] for n, one in read.items() if n.startswith(said)} <= {"Given"}
    kept = [n for n, one in read.items() if one["inspect"] == "JSONResponse"]
    assert len(kept) > len(read) // 2
