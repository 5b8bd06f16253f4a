"""What the overhead benchmark makes of its times; the server itself is started in tests/e2e."""

import itertools

import httpx
import pytest

from benchmarks.harness.jobs import SAME_PROMPT, Job
from benchmarks.overhead import overhead
from benchmarks.overhead.report import BARE, EMPTY, ENGINE, HTTP, REST, SERVED, Measured, report


def measured(name: str, bare: float, engine: float, served: float) -> Measured:
    parts = {"queue": 1.0, "steps": 1e3 * engine - 20, "decode": 10.0, "file": 2.0}
    times = {BARE: [bare] * 3, ENGINE: [engine] * 3, SERVED: [served] * 3, EMPTY: [0.005] * 3}
    return Measured(name, "t2i", times, {SERVED: [parts] * 3})


def test_parts_and_the_rest_make_up_the_served_answer() -> None:
    shares = measured("long", 2.0, 1.9, 1.95).shares(SERVED)

    assert shares[HTTP] == pytest.approx(5)
    assert shares["image encode"] == 2.0
    assert shares[REST] == pytest.approx(1950 - 1 - 1880 - 10 - 2 - 5)
    assert sum(shares.values()) == pytest.approx(1950)


def test_figures_are_of_the_longest_work_and_of_the_native_size() -> None:
    told = report(
        [measured("long", 2.0, 1.9, 2.2), measured("native", 0.3, 0.27, 0.4)], [1.9], 1, 2
    )

    assert [(round(f.value, 3), f.bound, f.holds) for f in told.figures] == [
        (1.1, 1.05, False),
        (0.95, 1.0, True),
        (0.9, 0.95, True),
    ]
    assert {f.number for f in told.figures} == {3}
    (plot,) = told.plots
    assert [sum(ys) for ys in zip(*(s.y for s in plot.series), strict=True)] == pytest.approx(
        [110, 400 / 3]
    )


def test_a_remembered_answer_is_no_measurement() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"cached": True})

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://server")

    with pytest.raises(ValueError, match="library"):
        overhead.ask(client, Job("t2i", 5, 128, 128, 2))


@pytest.mark.parametrize("quick", [True, False])
def test_no_two_pictures_of_a_size_share_a_seed(quick: bool) -> None:
    for case in overhead.cases(quick):
        seeds = [job.seed for job in case.jobs()]
        words = [seed + SAME_PROMPT for seed in seeds]
        check = [seeds[0] + 2 * SAME_PROMPT]
        every = list(itertools.chain(seeds, words, check))
        assert len(set(every)) == len(every)
        assert len(seeds) == case.rounds + overhead.WARM_UP
