"""Plans keep to their budget, and more memory never makes anything worse."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.diffusion.memory.figures import Component, Demand, Figures, Line, Role, Weights
from deployments.diffusion.memory.plan import MIB, MemoryPlan, NothingFits, plan_memory
from deployments.diffusion.profile import RELIEFS

GIB = 2**30
ROLES: tuple[Role, ...] = ("text_encoder", "denoiser", "vae")


@st.composite
def weights(draw: st.DrawFn) -> Weights:
    whole = draw(st.integers(0, 16 * GIB))
    blocks = draw(st.integers(0, whole))
    return Weights(whole, blocks, draw(st.integers(0, blocks)))


def lines(each: int) -> st.SearchStrategy[Line]:
    """Bytes that grow by up to `each` a count; fits through points may start below zero."""
    slopes = st.fractions(0, each, max_denominator=1000)
    return st.builds(Line, st.integers(-MIB, GIB).map(Fraction), slopes)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Figures, Demand]:
    roles = [*ROLES, *draw(st.lists(st.sampled_from(ROLES), max_size=2))]
    components = tuple(
        Component(f"{role}_{i}", role, draw(weights()), draw(weights()))
        for i, role in enumerate(roles)
    )
    figures = Figures(
        components=components,
        encode=draw(st.integers(0, GIB)),
        forward=draw(lines(400_000)),
        decode=draw(lines(4000)),
        tiled_decode=draw(lines(400)),
        encode_picture=draw(lines(4000)),
        tiled_encode_picture=draw(lines(400)),
        picture_tokens=Line(Fraction(draw(st.integers(1, 1024))), Fraction(1, 256)),
        kept={"cache": draw(st.integers(0, GIB)), "context": draw(st.integers(0, GIB))},
        dropped=0,
        basis="computed",
    )
    sizes = sorted(draw(st.tuples(*[st.integers(64**2, 4096**2)] * 3)))
    demand = Demand(
        size="the default",
        default_pixels=sizes[0],
        pixels=sizes[1],
        hires_pixels=draw(st.sampled_from([0, sizes[2], 2 * sizes[2]])),
        most_pixels=sizes[2],
        tokens=draw(st.integers(1, 100_000)),
        n=draw(st.integers(1, 8)),
        guided=draw(st.booleans()),
    )
    return figures, demand


budgets = st.integers(1, 96 * GIB)


def outcome(case: tuple[Figures, Demand], budget: int) -> MemoryPlan | NothingFits:
    try:
        return plan_memory(*case, budget)
    except NothingFits as error:
        return error


@settings(max_examples=100, deadline=None)
@given(cases(), budgets)
def test_no_phase_exceeds_the_budget(case: tuple[Figures, Demand], budget: int) -> None:
    figures, demand = case
    made = outcome(case, budget)
    if isinstance(made, NothingFits):
        assert made.least > budget
        return
    for phase in made.phases:
        assert phase.peak == sum(phase.rows.values()) <= budget
        for name, size in made.device.items():
            assert phase.rows[name] >= size
    rows = {phase.name: phase.rows["working memory"] for phase in made.phases}
    if "tiled_decode" not in made.reliefs:
        assert made.whole_pixels >= made.max_pixels
    assert made.whole_pixels <= max(made.max_pixels, made.hires_pixels, demand.hires_pixels)
    if made.whole_pixels:
        vae = max(line.at(made.whole_pixels) for line in (figures.decode, figures.encode_picture))
        held = sum(made.phases[2].rows[name] for name in (*made.device, *figures.kept))
        assert held + vae <= budget
    if made.hires_pixels:
        steps = figures.picture_tokens.at(made.hires_pixels) * (2 if demand.guided else 1)
        assert rows["hires forward"] >= figures.forward.at(steps)
        whole = figures.encode_picture.at(made.hires_pixels)
        tiled = min(whole, figures.tiled_encode_picture.at(made.hires_pixels))
        in_tiles = made.hires_pixels > made.whole_pixels
        assert rows["hires encode"] >= (tiled if in_tiles else whole)
    assert rows["forward"] >= figures.forward.at(made.token_budget)
    tiled = min(figures.decode.at(made.max_pixels), figures.tiled_decode.at(made.max_pixels))
    assert rows["decode"] >= tiled
    # Nothing that may be asked steps alone because it is larger than the budget of a forward.
    alone = figures.picture_tokens.at(made.max_pixels) * (2 if demand.guided else 1)
    assert alone <= made.token_budget
    assert made.n == 1 or made.n * figures.picture_tokens.at(demand.default_pixels) <= (
        made.token_budget
    )


@settings(max_examples=100, deadline=None)
@given(cases(), budgets, budgets)
def test_more_memory_is_never_worse(case: tuple[Figures, Demand], one: int, other: int) -> None:
    poorer, richer = (outcome(case, budget) for budget in sorted((one, other)))
    if isinstance(poorer, NothingFits):
        return
    assert isinstance(richer, MemoryPlan)
    assert RELIEFS.index(richer.residency) <= RELIEFS.index(poorer.residency)
    assert richer.token_budget >= poorer.token_budget
    assert richer.max_pixels >= poorer.max_pixels
    assert richer.n >= poorer.n
    assert richer.hires_pixels >= poorer.hires_pixels
    assert richer.complete >= poorer.complete


@settings(max_examples=50, deadline=None)
@given(cases())
def test_what_is_said_to_be_the_least_is_the_least(case: tuple[Figures, Demand]) -> None:
    refused = outcome(case, 1)
    if not isinstance(refused, NothingFits):
        return
    assert isinstance(outcome(case, refused.least), MemoryPlan)
    assert isinstance(outcome(case, refused.least - 1), NothingFits)


@settings(max_examples=50, deadline=None)
@given(cases(), budgets)
def test_all_that_is_asked_or_said_to_be_less(case: tuple[Figures, Demand], budget: int) -> None:
    _, demand = case
    made = outcome(case, budget)
    if isinstance(made, NothingFits):
        return
    assert made.max_pixels >= demand.default_pixels
    if made.complete:
        assert made.token_budget >= demand.tokens
        assert made.max_pixels >= demand.pixels
        assert made.n >= demand.n
        assert made.hires_pixels == demand.hires_pixels
    else:
        assert made.residency == RELIEFS[-1]


@given(st.lists(st.tuples(st.integers(1, 10**7), st.integers(0, 10**10)), min_size=1, max_size=6))
def test_a_line_lies_over_its_points(points: list[tuple[int, int]]) -> None:
    by_count = dict(points)
    line = Line.over(list(by_count), list(by_count.values()))
    for count, size in by_count.items():
        assert line.at(count) >= size
