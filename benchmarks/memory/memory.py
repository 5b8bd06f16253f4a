"""Memory for three kinds of pictures: one set of weights against one for each pipeline.

Every way is taken in a process of its own (`footprint`). Z-Image-Turbo's real size is
computed from its architecture, without weights.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.harness import FORKS, Report, Say, engines
from benchmarks.memory import footprint
from benchmarks.memory import report as memory_report
from benchmarks.memory.footprint import PIPELINES, SIGNBOARD, WITH_STYLES, Footprint
from benchmarks.memory.report import OnPaper
from deployments.diffusion.memory import computed, demand_of, plan_memory
from deployments.diffusion.profile import EMBEDDED_MODEL
from serve.profiles import load_profile

WAYS = (*PIPELINES, SIGNBOARD)
QUICK_WAYS = ("one", "three", SIGNBOARD)
REAL_SIZE = "z-image-turbo-24gb"
CHILD_WITHIN_S = 300.0


def measure(quick: bool, say: Say) -> Report:
    """The embedded model and the 1 GB checkpoint (quick: the former)."""
    ways = QUICK_WAYS if quick else WAYS
    embedded = take_each((*ways, WITH_STYLES), EMBEDDED_MODEL, "float32", say)
    taken = {"Embedded model, float32": embedded}
    if not quick:
        with tempfile.TemporaryDirectory(prefix="signboard-bench-") as name:
            folder = engines.save(Path(name))
            fewer = tuple(way for way in ways if way != "two")  # which three tell too
            taken["1 GB checkpoint, as stored"] = take_each(fewer, folder, engines.DTYPE, say)
    return memory_report.report(taken, on_paper(REAL_SIZE))


def take_each(ways: tuple[str, ...], folder: Path, dtype: str, say: Say) -> Mapping[str, Footprint]:
    """Each way's footprint. Raises TimeoutError, and what the process raised."""
    taken = {}
    for way in ways:
        say(f"{folder.name}: {way}")
        with FORKS.Pool(1) as pool:  # which ends a process that is not done in time
            taken[way] = pool.apply_async(footprint.take, (way, folder, dtype)).get(CHILD_WITHIN_S)
            pool.close()  # it exits: terminated meanwhile, it would leave its locks registered
            pool.join()
    return taken


def on_paper(name: str) -> OnPaper:
    """A packaged profile's weights and its plan, from its architecture alone."""
    profile = load_profile(name)
    figures = computed(profile)
    budget = profile.model.memory_budget
    if budget is None:
        raise ValueError(f"{name}: a profile with a memory budget is wanted")
    made = plan_memory(figures, demand_of(profile), budget)
    held = {component.name: component.loaded.bytes for component in figures.components}
    return OnPaper(
        name=name,
        dtype=profile.model.dtype,
        held=held,
        dropped=figures.dropped,
        budget=budget,
        residency=made.residency,
    )
