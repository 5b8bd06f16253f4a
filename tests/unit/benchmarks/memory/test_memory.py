"""The memory benchmark's code on the embedded model: what it counts and what it tells."""

import json

import pytest

from benchmarks.memory import footprint, memory
from benchmarks.memory import report as memory_report
from benchmarks.memory.footprint import SIGNBOARD, WITH_STYLES, Footprint
from benchmarks.memory.report import OnPaper
from deployments.diffusion.profile import EMBEDDED_MODEL

WAYS = ("one", "three", "from_pipe", "handed_over", SIGNBOARD, WITH_STYLES)


@pytest.fixture(scope="module")
def taken() -> dict[str, Footprint]:
    return {way: footprint.take(way, EMBEDDED_MODEL, "float32") for way in WAYS}


@pytest.fixture(scope="module")
def paper() -> OnPaper:
    return memory.on_paper(memory.REAL_SIZE)


def test_sets_are_counted_by_storage(taken: dict[str, Footprint]) -> None:
    one = taken["one"].held_bytes

    assert taken["three"].held_bytes == 3 * one
    assert taken["from_pipe"].held_bytes == taken["handed_over"].held_bytes == one
    assert taken[SIGNBOARD].held_bytes <= one
    assert taken[SIGNBOARD].held["styles"] == 0 < taken[WITH_STYLES].held["styles"]


def test_a_footprint_is_of_a_process_that_drew(taken: dict[str, Footprint]) -> None:
    for one in taken.values():
        assert one.live >= one.held_bytes
        for name, before in one.before.items():
            assert before > 0
            assert one.after[name] > 0
            assert one.peak[name] >= before


def test_a_child_tells_the_same(taken: dict[str, Footprint]) -> None:
    said: list[str] = []
    told = memory.take_each(("one",), EMBEDDED_MODEL, "float32", said.append)["one"]

    assert told.held == taken["one"].held
    assert told.peak["resident"] > told.before["resident"]
    assert len(said) == 1


def test_what_a_report_tells(taken: dict[str, Footprint], paper: OnPaper) -> None:
    report = memory_report.report({"Embedded model, float32": taken}, paper)

    third, whole = report.figures
    assert third.value == taken[SIGNBOARD].held_bytes / taken["three"].held_bytes
    assert whole.value == taken[SIGNBOARD].held_bytes / taken["one"].held_bytes
    assert third.holds
    assert whole.holds
    rows = {row[0]: row[-1] for row in report.tables[-1].rows}
    assert rows["Three separate pipelines"] == "61.57"  # GB, in bfloat16
    assert rows["Signboard"] < rows["Components handed over"] == "20.52"
    assert [plot.name for plot in report.plots] == ["memory_real_size", "memory_embedded"]
    assert json.dumps(report.data)
