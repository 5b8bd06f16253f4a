"""The benchmark's code on the CPU, on a model so small that it takes seconds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu import gpu
from benchmarks.gpu.report import report_of
from benchmarks.gpu.rig import load_timed, save_random_checkpoint, sleep_and_wake
from deployments.diffusion.families.load import family_of
from deployments.diffusion.memory.plan import NothingFits
from deployments.diffusion.memory.profile_plan import plan_for
from deployments.diffusion.profile import DiffusionProfile
from tests.tiny_checkpoint import save_tiny_checkpoint, tiny_profile

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> DiffusionProfile:
    tiny = tiny_profile(save_tiny_checkpoint(tmp_path_factory.mktemp("tiny")))
    sizes = tiny.sizes.model_copy(update={"default": "96x96"})
    engine = tiny.engine.model_copy(update={"max_prompt_tokens": 64})
    return tiny.model_copy(update={"sizes": sizes, "engine": engine})


@pytest.fixture(scope="module")
def whole_run(profile: DiffusionProfile) -> dict[str, Any]:
    run: dict[str, Any] = gpu.run([(profile, 2**30)], CPU, print, compiled=False)
    plain: dict[str, Any] = json.loads(json.dumps(run))
    return plain


def test_what_a_run_tells(whole_run: dict[str, Any]) -> None:
    result = whole_run

    (case,) = result["cases"]
    assert case["plan"]["basis"] == case["working_memory"]["basis"] == "computed"
    assert case["plan"]["complete"]
    assert {name: len(drawn) for name, drawn in case["requests"].items()} == {
        "t2i": 4,
        "i2i": 4,
        "alternating": 6,
    }
    kinds = [drawn["steps_executed"] for drawn in case["requests"]["alternating"]]
    assert kinds == [4, 3, 3] * 2  # 4 steps at strength 0.6 run 3
    assert [(b["size"], b["n"]) for b in case["batches"]] == [
        ([side, side], n) for side in (64, 96) for n in (1, 2, 4, 8)
    ]
    assert all(b["forwards"] == 4 for b in case["batches"])  # eight rows share each
    assert all(b["step_ms"] > 0 and b["picture_ms"] < b["total_ms"] + 1 for b in case["batches"])
    assert result["load"]["bytes"] == result["build"]["bytes"] > 0
    report = report_of(result)
    latency, beside_bare, third, whole = report.figures
    times = [drawn["total_ms"] for drawn in case["requests"]["t2i"][1:]]
    assert min(times) == latency.low <= latency.value <= latency.high == max(times)
    assert len(case["paired"]["engine"]) == len(case["paired"]["bare pipeline"]) > 1
    assert beside_bare.value > 0
    assert third.value == pytest.approx(whole.value / 3)
    assert len(case["changes"]["first_ms"]) == len(case["changes"]["again_ms"]) == 9
    plans, single, batched, memory, _kernels = report.tables
    assert [len(table.rows) for table in (plans, single, batched, memory)] == [1, 3, 8, 3]
    assert (
        plans.rows[0][:2]
        == [single.rows[0][0], "all resident"]
        == [batched.rows[0][0], plans.rows[0][1]]
    )


def test_a_run_that_was_cut_short_tells_what_it_has(whole_run: dict[str, Any]) -> None:
    parts = ("sleep", "reloads", "footprints")
    cut = {name: part for name, part in whole_run.items() if name not in parts}

    assert [figure.name for figure in report_of(cut).figures] == [
        figure.name for figure in report_of(whole_run).figures[:2]
    ]


def test_a_model_that_needs_relief_is_planned_but_not_drawn_with(
    profile: DiffusionProfile, tmp_path: Path
) -> None:
    save_random_checkpoint(profile, CPU, tmp_path)
    components, _ = load_timed(profile, CPU, tmp_path)
    with pytest.raises(NothingFits) as refused:
        plan_for(profile, 1)

    case = gpu.case_of(profile, refused.value.least, components, print)

    assert case["plan"]["reliefs"]
    assert case["skipped"]
    assert "requests" not in case


def test_weights_wake_as_they_slept(profile: DiffusionProfile, tmp_path: Path) -> None:
    save_random_checkpoint(profile, CPU, tmp_path)
    components, _ = load_timed(profile, CPU, tmp_path)
    family = family_of(profile, components)
    before = [tensor.clone() for tensor in components.tensors()]

    told = sleep_and_wake(family)

    assert told["bytes"] == sum(tensor.nbytes for tensor in before)
    after = list(components.tensors())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_it_needs_no_ray() -> None:
    code = "import sys, benchmarks.gpu.gpu; assert 'ray' not in sys.modules"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
