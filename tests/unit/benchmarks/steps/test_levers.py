"""What the benchmark of single measures tells; how fast anything is, is no test's matter."""

import json

import pytest
import torch

from benchmarks.steps import levers


def test_what_a_quick_run_tells() -> None:
    report = json.loads(levers.measure(True, lambda _: None).model_dump_json())

    stages, gains = report["tables"]
    assert [row[0] for row in stages["rows"]] == ["encode", "steps", "decode"]
    assert sum(row[2] for row in stages["rows"]) == pytest.approx(100)
    for row in stages["rows"]:
        assert sum(row[3:]) == pytest.approx(100)
    assert all(row[2] > 0 for row in gains["rows"])
    assert torch.get_num_threads() == levers.THREADS
