"""The step's arithmetic against torch's own count, and what the benchmark tells."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.steps import arithmetic, steps
from benchmarks.steps.arithmetic import Flops, StepTime
from deployments.diffusion.families.load import family_of
from deployments.diffusion.weights.architecture import Architecture


@pytest.mark.parametrize(("side", "count"), [(256, 1), (272, 3)])
def test_matrices_are_counted_as_torch_counts_them(side: int, count: int) -> None:
    profile = steps.random_profile()
    components = Architecture(steps.ARCHITECTURE, torch.float32).build(torch.device("cpu"))
    family = family_of(profile, components)
    batch = steps.rows(profile, family, side, count)
    transformer = components.modules["transformer"]

    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        family.velocity(batch)

    expected = arithmetic.of_forward(transformer, *batch[0].lengths, rows=count)
    by_torch = counted.get_flop_counts()["Global"]
    assert expected.matrices == by_torch[torch.ops.aten.mm] + by_torch[torch.ops.aten.addmm]


def test_attention_grows_with_the_square_and_matrices_with_the_tokens() -> None:
    components = Architecture(steps.ARCHITECTURE, torch.float32).build(torch.device("meta"))
    transformer = components.modules["transformer"]

    one = arithmetic.of_forward(transformer, 512, 32, rows=1)
    four = arithmetic.of_forward(transformer, 512, 32, rows=4)
    twice = arithmetic.of_forward(transformer, 1024, 64, rows=1)

    assert (four.matrices, four.attention) == (4 * one.matrices, 4 * one.attention)
    assert twice.attention == 4 * one.attention
    assert twice.matrices < 2 * one.matrices  # modulation goes by rows


def test_the_fit_finds_the_constants_that_made_the_times() -> None:
    forwards = [Flops(10**9 * i, 10**8 * i * i) for i in range(1, 12)]
    seconds = [0.002 + 8e-12 * one.matrices + 2e-11 * one.attention for one in forwards]

    model = StepTime.fit(forwards, seconds)

    assert model.fixed == pytest.approx(0.002)
    assert model.per_matrix_flop == pytest.approx(8e-12)
    assert model.per_attention_flop == pytest.approx(2e-11)


def test_the_figure_is_of_the_points_that_were_not_fitted() -> None:
    forwards = [Flops(10**9 * i, 10**8 * i * i) for i in range(1, 13)]
    seconds = [0.002 + 8e-12 * one.matrices + 2e-11 * one.attention for one in forwards]
    seconds[5] *= 1.5
    points = [
        steps.Point(256, i + 1, 100 * (i + 1), one, taken)
        for i, (one, taken) in enumerate(zip(forwards, seconds, strict=True))
    ]

    (figure,) = steps.report(points, parameters=1).figures

    assert figure.value == pytest.approx(0.5)
    assert not figure.holds


def test_what_a_quick_run_tells() -> None:
    said: list[str] = []

    report = json.loads(steps.measure(True, said.append).model_dump_json())

    assert said
    points = report["data"]["points"]
    assert [(p["side"], p["rows"]) for p in points] == [
        (side, rows) for side in steps.SIDES[:2] for rows in steps.ROWS
    ]
    assert all(p["tokens"] <= steps.MOST_TOKENS and p["seconds"] > 0 for p in points)
    fitted, judged = report["plots"][0]["series"]
    assert len(fitted["x"]) == len(judged["x"]) == len(points) / 2
    assert len(report["data"]["errors"]) == len(judged["x"])
    assert report["figures"][0]["number"] == 7
