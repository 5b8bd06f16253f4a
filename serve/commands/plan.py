"""What fits where: the memory plans of a profile as tables that can be added up."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table

from deployments.diffusion.memory import (
    MIB,
    Figures,
    MemoryPlan,
    NothingFits,
    StagePeak,
    computed,
    demand_of,
    plan_memory,
)
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.weights import ModelUnavailable
from serve.profiles import load_profile

GIB = 2**30
PHASES = 4  # of pictures in one pass; those of a second pass follow in a table of their own
BUDGETS = tuple(int(gib * GIB) for gib in (12, 16, 22, 40, 80))


class PlanFailed(Exception):
    """There is no such profile, or it is not said what its model is made of."""


def tables(name: str, budgets: Sequence[int] = BUDGETS) -> Iterator[RenderableType]:
    """The weights, one row a budget, then every plan phase by phase. Raises PlanFailed."""
    try:
        profile = load_profile(name)
        figures = computed(profile)
    except ModelUnavailable as error:
        raise PlanFailed(error.in_full) from error
    except ValueError as error:
        raise PlanFailed(str(error)) from error
    plans: list[MemoryPlan | NothingFits] = []
    for budget in budgets:
        try:
            plans.append(plan_memory(figures, demand_of(profile), budget))
        except NothingFits as error:
            plans.append(error)
    yield _weights(profile, figures)
    yield _overview(profile, figures, plans)
    for one in plans:
        if isinstance(one, MemoryPlan):
            yield _phases(one, one.phases[:PHASES])
            if one.hires_pixels:
                yield _phases(one, one.phases[PHASES:])


def _weights(profile: DiffusionProfile, figures: Figures) -> Table:
    total = figures.dropped + sum(component.loaded.bytes for component in figures.components)
    table = Table(title=f"{profile.name}: {total / 1e9:.2f} GB in {profile.model.dtype}; in MiB")
    table.add_column("weights")
    for heading in ("as loaded", "with fp8 storage", "in blocks to stream"):
        table.add_column(heading, justify="right")
    for component in figures.components:
        loaded, streams = component.loaded, component.role == "denoiser"
        bears_fp8 = component.fp8.bytes < loaded.bytes
        table.add_row(
            component.name,
            _mib(loaded.bytes),
            _mib(component.fp8.bytes) if bears_fp8 else "-",
            _mib(loaded.blocks) if streams else "-",
        )
    table.add_row("dropped: never read", _mib(figures.dropped), "-", "-")
    return table


def _overview(
    profile: DiffusionProfile, figures: Figures, plans: Sequence[MemoryPlan | NothingFits]
) -> Table:
    sizes = profile.sizes
    table = Table(
        title=f"{profile.name}: what fits ({figures.basis})",
        caption=(
            f"n: pictures of {sizes.default} that share a forward. The profile asks for "
            f"{profile.engine.token_budget} tokens, {sizes.max_pixels} pixels, n {profile.max_n}"
            + (f", {profile.hires.sizes.max_pixels} pixels in two passes" if profile.hires else "")
            + "."
        ),
    )
    table.add_column("GiB", justify="right")
    table.add_column("residency")
    for heading in ("on host, MiB", "tokens", "pixels", "n"):
        table.add_column(heading, justify="right")
    for one in plans:
        if isinstance(one, NothingFits):
            table.add_row(f"{one.budget / GIB:g}", f"nothing: it takes {_mib(one.least)} MiB")
            continue
        table.add_row(
            f"{one.budget / GIB:g}",
            "\n+ ".join(one.reliefs or (one.residency,))
            + ("" if one.complete else "\nless than asked"),
            _mib(sum(one.host.values())),
            f"{one.token_budget}",
            f"{one.max_pixels}",
            f"{one.n}",
        )
    return table


def _phases(one: MemoryPlan, phases: Sequence[StagePeak]) -> Table:
    table = Table(
        title=f"{one.budget / GIB:g} GiB: {one.residency}, in MiB",
        caption=(
            f"working memory {one.basis}; {_mib(one.budget)} MiB may be taken; "
            f"above {one.whole_pixels} pixels the VAE works in tiles"
        ),
    )
    table.add_column("on the device at the peak of")
    for phase in phases:
        table.add_column(phase.name, justify="right")
    for name in phases[0].rows:
        table.add_row(name, *(_mib(phase.rows[name]) for phase in phases))
    table.add_section()
    table.add_row("sum", *(_mib(phase.peak) for phase in phases))
    return table


def _mib(size: int) -> str:
    return f"{-(-size // MIB):,}"
