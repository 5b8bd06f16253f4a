"""Words set in processes: the same files and errors as in this one, and what a lost one costs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.errors import InvalidValue
from deployments.postprocess import worker_pool as module
from deployments.postprocess.finish import WITHOUT_WORDS, finish_picture
from deployments.postprocess.schema.overlay import OverlaySpec, TextLayer
from deployments.postprocess.schema.placements import Output
from deployments.postprocess.worker_pool import WorkerLost, WorkerPool
from tests.polling import wait_until
from tests.unit.postprocess.pictures import disc, noise

JPEG = Output("jpeg")
WORDS = OverlaySpec(layers=[TextLayer(role="headline", text="오늘만 이 가격")])
BROKEN: tuple[Any, ...] = (
    WORDS.model_copy(update={"brand": "ours"}),
    "market",
    JPEG,
    {},
    {"ours": "no brand"},
)
STRICT = WORDS.model_copy(update={"on_problem": "fail"})
DEADLINE_S = 30


@pytest.fixture(scope="module")
def shared() -> WorkerPool:
    return WorkerPool(1, own_fonts=None)


@pytest.fixture
def workers(shared: WorkerPool) -> WorkerPool:
    """Ready for words, whatever the test before did to its process."""
    assert shared.finish(disc(64, 64), STRICT, None, JPEG, {}).report
    return shared


def process_of(workers: WorkerPool) -> int:
    (worker,) = workers._free.queue
    return worker._process.pid


@pytest.fixture
def dying(workers: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> WorkerPool:
    """The process dies as soon as it is given a picture."""
    (worker,) = workers._free.queue
    write = worker._picture.write

    def killed(picture: NDArray[np.uint8]) -> tuple[int, ...]:
        monkeypatch.undo()
        worker._process.kill()
        return write(picture)

    monkeypatch.setattr(worker._picture, "write", killed)
    return workers


@pytest.mark.parametrize(("width", "height"), [(256, 256), (96, 64), (640, 512)])
def test_the_file_is_that_of_this_process(workers: WorkerPool, width: int, height: int) -> None:
    """Whatever the size of the picture that its process had before."""
    asked = (noise(width, height), WORDS, "market", JPEG, {"prompt": "noise"})
    there, here = workers.finish(*asked), finish_picture(*asked)
    assert there.data == here.data
    assert there.report == here.report


def test_without_words_no_process_is_asked(workers: WorkerPool) -> None:
    os.kill(process_of(workers), signal.SIGSTOP)
    try:
        made = workers.finish(disc(64, 64), None, "market", JPEG, {})
    finally:
        os.kill(process_of(workers), signal.SIGCONT)
    assert (made.width, made.height, made.report) == (1000, 1000, None)


def test_what_it_raises_is_raised_here(workers: WorkerPool) -> None:
    with pytest.raises(InvalidValue) as raised:
        workers.finish(disc(64, 64), WORDS, "billboard", JPEG, {})
    assert raised.value.param == "placement"


def test_what_it_logs_is_logged_here(workers: WorkerPool, caplog: pytest.LogCaptureFixture) -> None:
    made = workers.finish(disc(64, 64), *BROKEN)
    assert made.warnings == (WITHOUT_WORDS,)
    (record,) = caplog.records
    assert record.name == finish_picture.__module__
    assert "AttributeError" in record.getMessage()


def test_a_process_that_dies_costs_the_words_and_no_picture(
    dying: WorkerPool, caplog: pytest.LogCaptureFixture
) -> None:
    made = dying.finish(disc(64, 64), WORDS, "market", JPEG, {})
    assert made.warnings == (WITHOUT_WORDS,)
    assert (made.width, made.placement, made.report) == (1000, "market", None)
    assert made.data == finish_picture(disc(64, 64), *BROKEN).data
    assert "has died" in caplog.text
    assert dying.finish(disc(64, 64), WORDS, None, JPEG, {}).report


def test_words_that_may_not_be_missing_fail_with_their_process(dying: WorkerPool) -> None:
    with pytest.raises(WorkerLost):
        dying.finish(disc(64, 64), STRICT, None, JPEG, {})
    assert dying.finish(disc(64, 64), STRICT, None, JPEG, {}).report


def test_a_process_that_died_idle_costs_nothing(workers: WorkerPool) -> None:
    dead = process_of(workers)
    os.kill(dead, signal.SIGKILL)
    os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)
    assert workers.finish(disc(64, 64), STRICT, None, JPEG, {}).report
    assert process_of(workers) != dead


def test_a_process_that_hangs_is_ended(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = process_of(workers)
    os.kill(stuck, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(module, "LIMIT_S", 0.2)
        assert workers.finish(disc(64, 64), WORDS, None, JPEG, {}).warnings == (WITHOUT_WORDS,)
    assert process_of(workers) != stuck
    assert not Path(f"/proc/{stuck}").exists()


def test_a_font_that_cannot_be_used_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    with pytest.raises(ValueError, match=r"broken\.ttf"):
        WorkerPool(1, str(tmp_path))


def test_its_processes_end_with_it() -> None:
    workers = WorkerPool(1, own_fonts=None)
    process = process_of(workers)
    del workers
    deadline = time.monotonic() + DEADLINE_S
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_that_does_not_listen_is_ended(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More is sent than a pipe holds."""
    stuck = process_of(workers)
    os.kill(stuck, signal.SIGSTOP)
    images = {"sha256:0": bytes(2**22)}
    with monkeypatch.context() as patch:
        patch.setattr(module, "LIMIT_S", 0.2)
        made = workers.finish(disc(64, 64), WORDS, None, JPEG, {}, images=images)
    assert made.warnings == (WITHOUT_WORDS,)
    assert process_of(workers) != stuck


def running(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_a_process_ends_in_the_midst_of_its_work_when_its_parent_is_gone() -> None:
    code = (
        "import os, subprocess, sys\n"
        "work = 'import os, threading; from deployments.postprocess import worker; '\n"
        "work += 'threading.Thread(target=worker._end_with, args=(os.getppid(),)).start(); '\n"
        "work += 'print(os.getpid(), flush=True); [0 for _ in iter(int, 1)]'\n"
        "subprocess.Popen([sys.executable, '-c', work]).wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    process = int(parent.stdout.readline())
    with parent.stdout:
        parent.kill()
        parent.wait()
    wait_until(lambda: not running(process), 200)
