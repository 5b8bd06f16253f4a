"""The overlay benchmark's code at a small size: what it tells, not how long anything takes."""

import time
import types

import numpy as np
import pytest

from benchmarks.harness import jobs
from benchmarks.harness.turns import watch
from benchmarks.overlay import overlay, pillow_drawing


@pytest.fixture(scope="module")
def small() -> list[np.ndarray]:
    return [jobs.picture(number, 256) for number in range(jobs.COUNT)]


def test_what_a_run_tells() -> None:
    report = overlay.measure(quick=True, say=print)

    assert [figure.bound for figure in report.figures] == list(overlay.BOUNDS.values())
    assert all(figure.low <= figure.value <= figure.high for figure in report.figures)
    core = report.data["one_core"]
    assert len(core) == jobs.COUNT
    for advert in core:
        (turn,) = advert["turns"]
        assert {"pillow", "stage", "judge", *overlay.PARTS} == set(turn)
        assert all(seconds > 0 for seconds in turn.values())
        parts = sum(turn[part] for part in ("judge", *overlay.PARTS))
        assert parts == pytest.approx(turn["stage"], rel=0.1)
    stage, pillow = (sum(bar.y[at] for bar in report.plots[0].series) for at in (0, 1))
    assert stage > 0 < pillow
    assert len(report.tables[0].rows) == jobs.COUNT


def test_every_turn_has_copy_of_its_own() -> None:
    texts = [
        tuple(layer.text for layer in jobs.spec(number, turn).layers)
        for number in range(jobs.COUNT)
        for turn in range(20)
    ]

    assert len(set(texts)) == len(texts)
    assert {len(one) for one in texts} == {4}


def test_pillow_draws_the_same_layers(small: list[np.ndarray]) -> None:
    """Where words changed the picture, Pillow changed it too, and nowhere else."""
    for number, picture in enumerate(small):
        done = overlay.make(picture, number, 3)
        assert done.report is not None
        drawn = np.asarray(pillow_drawing.draw(picture, done.report))
        assert (drawn != picture).any()
        for layer in done.report.layers:
            left, top, width, height = layer.box
            inside = np.s_[top : top + height, left : left + width]
            assert (drawn[inside] != picture[inside]).any()


def test_a_clock_counts_each_second_once() -> None:
    def busy(seconds: float) -> None:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass

    module = types.ModuleType("work")
    module.inner = lambda: busy(0.02)
    module.outer = lambda: (busy(0.01), module.inner())
    kept = module.inner, module.outer
    began = time.process_time()
    with watch({"in": [(module, "inner")], "out": [(module, "outer")]}) as parts:
        module.outer()
    whole = time.process_time() - began

    assert (module.inner, module.outer) == kept
    assert 0.02 <= parts.spent["in"] <= whole
    assert 0.01 <= parts.spent["out"] <= whole - 0.02
