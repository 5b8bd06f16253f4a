"""The cold start's benchmark: what it reads from a start's words and logs, and tells."""

import json
import time
from pathlib import Path

import pytest

from benchmarks.harness import engines
from benchmarks.harness.serving import write_profile
from benchmarks.start import cold_start, served_start
from benchmarks.start.weights import drop, files_of, loaded_and_read
from deployments.diffusion.profile import EMBEDDED_MODEL, ModelSource

ENGINE_S = {"imports": 4.0, "plan": 0.0, "weights": 0.5, "placement": 0.1, "warm_up": 0.4}


def test_the_engine_started_in_a_fresh_process(tmp_path: Path) -> None:
    began = time.time()
    parts = cold_start.engine_start(write_profile(engines.embedded(), tmp_path))
    took = time.time() - began

    assert {"interpreter", "torch", "weights", "tokenizer, configs", "warm-up"} <= set(parts)
    assert all(seconds >= 0 for seconds in parts.values())
    assert 0 < sum(parts.values()) <= took


def test_weights_are_loaded_and_read_in_turn(tmp_path: Path) -> None:
    source = ModelSource(source=str(EMBEDDED_MODEL), dtype="bfloat16", device="cpu")
    times = loaded_and_read(source, 2, dropped=False, progress=lambda done, of: None)

    assert {name: len(seconds) for name, seconds in times.items()} == {"read": 2, "load": 2}
    assert len(files_of(EMBEDDED_MODEL)) == 3


def test_files_whose_pages_are_forgotten_keep_their_bytes(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"kept" * 5000)
    drop([file])

    assert file.read_bytes() == b"kept" * 5000


def test_parts_of_a_served_start_are_found_in_its_words_and_logs(tmp_path: Path) -> None:
    """From 10:00:00, with moments at 1, 3, 5, 6.5 and 8 s; the engine takes 5 s; ready at 13.25."""
    began = time.mktime(time.strptime("2026-03-01 10:00:00", "%Y-%m-%d %H:%M:%S"))
    (tmp_path / "controller_71.log").write_text(
        "INFO 2026-03-01 10:00:05,000 controller 71 -- Importing and building app 'signboard'.\n"
        "a line of another kind\n"
        "INFO 2026-03-01 10:00:06,500 controller 71 -- "
        "Imported and built app 'signboard' successfully.\n"
    )
    (tmp_path / "controller_build_signboard_72.log").write_text("")
    (tmp_path / "replica_signboard_DiffusionDeployment_abc.log").write_text(
        json.dumps(
            {
                "asctime": "2026-03-01 10:00:08,000",
                "message": "Started initializing replica.",
            }
        )
    )
    said = {"starting Ray ...": began + 1, "starting Serve ...": began + 3, "ready": began + 13.25}

    parts = served_start._parts(began, said, tmp_path, ENGINE_S)

    assert list(parts.values()) == pytest.approx(
        [1, 2, 2, 1.5, 1.5, *ENGINE_S.values(), 0.25], abs=1e-6
    )
    assert parts["application built"] == pytest.approx(1.5)


def test_what_a_report_tells() -> None:
    weights = {"warm": {"load": [1.2, 1.3**2 / 1.2, 1.3], "read": [1.0, 1.0, 1.0]}}
    starts = [{"imports": 4.0, "warm-up": 1.0}, {"imports": 6.0, "warm-up": 1.0}]
    told = cold_start.report(10**9, weights, {"warm": starts}, starts[:1])

    (figure,) = told.figures
    assert (figure.number, figure.value, figure.holds) == (5, pytest.approx(1.3), True)
    assert figure.low <= 1.3 <= figure.high
    rows = {row[0]: row[1:] for row in told.tables[1].rows}
    assert rows["imports"] == [5.0, 4.0, 6.0, pytest.approx(100 * 5 / 6)]
    assert rows["whole"][:3] == [6.0, 5.0, 7.0]
    assert told.plots[0].series[0].y == [5.0, 1.0]
