"""The switch benchmark's code at a small size: what it tells, not how long anything takes."""

import numpy as np
import pytest
import torch

from benchmarks.baselines import pipelines
from benchmarks.baselines.pipelines import Reloading
from benchmarks.harness.engines import embedded
from benchmarks.harness.jobs import KINDS
from benchmarks.switch import report as switch_report
from benchmarks.switch import switch
from benchmarks.switch.changes import PAIRS, Changes
from benchmarks.switch.report import HANDED, HTTP, OURS, RELOAD, SEPARATE
from deployments.diffusion.profile import EMBEDDED_MODEL


@pytest.fixture(scope="module")
def model() -> switch.Model:
    profile = embedded(embedding_cache_bytes=0)
    return switch.Model("Embedded model", EMBEDDED_MODEL, profile, side=128, steps=1)


def test_every_way_draws_every_pair(model: switch.Model) -> None:
    said: list[str] = []
    told = switch._in_process(model, 1, 1, said.append)

    assert set(told) == {RELOAD, SEPARATE, HANDED, OURS}
    assert all(len(pairs.same) == len(pairs.changed) == PAIRS for pairs in told.values())
    assert said[1:] == ["Embedded model, kinds: 1 of 1 rounds"]


def test_styles_and_sleeps_are_timed_too(model: switch.Model) -> None:
    assert len(switch._styles(model, 1, lambda _: None).changed) == PAIRS
    times = switch._sleeps(model, 2, lambda _: None)
    assert {name: len(seconds) for name, seconds in times.items()} == {"awake": 2, "asleep": 2}


def test_jobs_are_the_same_work_and_other_pictures(model: switch.Model) -> None:
    for kind in KINDS:
        one, other = model.job(kind, 1), model.job(kind, 2)
        assert one.prompt == other.prompt
        assert one.seed != other.seed
        assert one.params.num_inference_steps == other.params.num_inference_steps


def test_reloading_holds_one_pipeline_and_draws_what_the_others_draw(model: switch.Model) -> None:
    reloading = Reloading(EMBEDDED_MODEL, torch.float32, torch.device("cpu"))
    kept = pipelines.handed_over(EMBEDDED_MODEL, torch.float32)
    for kind in (*KINDS, *KINDS[:2]):
        job = model.job(kind, 1)
        assert np.array_equal(reloading.draw(job), pipelines.draw(kept, job))
        assert list(reloading._held) == [kind]


def test_what_a_report_tells() -> None:
    small = {way: changes(0.2, 0.0) for way in (RELOAD, SEPARATE, HANDED, OURS, HTTP)}
    large = {**dict.fromkeys((SEPARATE, HANDED), changes(0.4, 0.0)), RELOAD: changes(0.4, 0.5)}
    large[OURS] = changes(0.4, 0.001)
    sleeps = {"Embedded model": {"awake": [0.2, 0.2], "asleep": [0.25, 0.25]}}
    kinds = {"Embedded model": small, "1 GB checkpoint": large}
    report = switch_report.report(kinds, changes(0.2, 0.0), sleeps)

    in_process, over_http, share = report.figures
    assert in_process.value == over_http.value == 1.0
    assert in_process.by_interval
    assert share.value == pytest.approx(0.2)
    assert all(figure.number == 2 and figure.holds for figure in report.figures)
    slower = {**large, OURS: changes(0.4, 0.006)}
    kinds = {"Embedded model": small, "1 GB checkpoint": slower}
    assert not switch_report.report(kinds, changes(0.2, 0.0), sleeps).figures[-1].holds
    assert [row[0] for row in report.tables[0].rows] == list(small)
    assert report.tables[-1].rows == [["Embedded model", 2, "200.0", "250.0", "50.0"]]
    assert {plot.name for plot in report.plots} == {"switch_gigabyte", "switch_embedded"}


def changes(same: float, added: float) -> Changes:
    """Six pairs of equal times."""
    return Changes([same] * PAIRS, [same + added] * PAIRS)
