"""The simulation against what queueing arithmetic says, and what its report tells."""

import pytest

from benchmarks.scale import report as scale_report
from benchmarks.scale.report import Measured
from benchmarks.scale.simulation import Stage, simulate


def test_the_slowest_stage_sets_the_rate_and_is_the_bottleneck() -> None:
    told = simulate([Stage("fast", 1, 0.01), Stage("slow", 4, 0.2)], 64, 1500)
    assert told.images_s == pytest.approx(20, rel=0.05)
    assert told.bottleneck == "slow"
    assert told.busy["slow"] == pytest.approx(1, abs=0.05)
    assert told.busy["fast"] == pytest.approx(0.2, abs=0.03)


def test_stages_on_shared_cores_get_no_more_than_the_cores_time() -> None:
    stages = [Stage("a", 8, 0.06), Stage("b", 8, 0.04)]
    assert simulate(stages, 32, 600, cores=2).images_s == pytest.approx(20, rel=0.05)
    assert simulate(stages, 32, 600).images_s > 70


def test_one_picture_at_a_time_takes_the_sum_of_its_stages() -> None:
    told = simulate([Stage("a", 3, 0.1), Stage("b", 3, 0.3)], 1, 600, cores=2)
    assert told.images_s == pytest.approx(1 / 0.4, rel=0.05)


def test_the_same_seed_gives_the_same_run() -> None:
    stages = [Stage("a", 2, 0.1), Stage("b", 3, 0.1)]
    assert simulate(stages, 8, 200, seed=3) == simulate(stages, 8, 200, seed=3)


def test_the_report_names_what_stops_each_deployment() -> None:
    cpu_s = {"engine": 0.3, "ingress": 0.03, "post-process": 0.02, "proxy": 0.01, "rest": 0.03}
    turns = {1: [Measured(2.5, cpu_s)], 2: [Measured(4.0, cpu_s), Measured(5.0, cpu_s)]}
    report = scale_report.report(turns, 16, 256, most_gpus=100)
    checked, stages, limits = report.tables
    assert [row[0] for row in checked.rows] == [1, 2]
    assert checked.rows[1][1] == 4.5
    assert checked.rows[1][5] == pytest.approx(float(checked.rows[1][4] or 0) / 4.5)
    assert len(stages.rows) == len(cpu_s)
    bottlenecks = [row[-1] for row in limits.rows]
    # 0.03 s of two ingress replicas, 0.01 s of one proxy, then the engines themselves
    assert bottlenecks[:3] == ["ingress", "proxy", "engine"]
    assert [plot.series[0].label for plot in report.plots] == ["ideal", "ideal"]
    assert all(series.x[-1] == 100 for plot in report.plots for series in plot.series)
