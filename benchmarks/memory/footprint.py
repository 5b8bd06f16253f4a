"""What one way of holding three kinds of pictures takes of memory, in a process of its own.

Loads a checkpoint in the way that is named, and draws a picture of each kind that it holds. Linux;
on a CUDA device where there is one.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks.baselines import Pipelines, pipelines
from benchmarks.harness import KINDS, Job, Kind, engines
from deployments.diffusion.engine import Engine
from deployments.diffusion.families import Family, load_family
from deployments.diffusion.profile import DiffusionProfile, Relief
from deployments.diffusion.weights import DTYPES, live_storage_bytes, pick_device, unique_storages

SAMPLE_S = 0.05
ROLLUP = Path("/proc/self/smaps_rollup")
SIDE, STEPS = 128, 1  # of the pictures; a step's peak is that of eight
PROMPT_TOKENS = 64  # that the pipelines pad a prompt to: the most that the profiles read

Modules = Sequence[tuple[str, torch.nn.Module]]
Draw = Callable[[Job], object]
Load = Callable[[Path, torch.dtype], Pipelines]


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes.

    held: weights by component, each storage counted once. live: of every tensor that is alive once
    the pictures are drawn. before, after, peak: what Linux counts for the process (resident,
    proportional) with no model yet, with all pictures drawn, and at most in between.
    device: what CUDA allocated and reserved, and the peak of the former; None without a device.
    """

    held: dict[str, int]
    live: int
    before: dict[str, int]
    after: dict[str, int]
    peak: dict[str, int]
    device: dict[str, int] | None

    @property
    def held_bytes(self) -> int:
        """Of all components."""
        return sum(self.held.values())


def _several(kinds: Sequence[Kind]) -> Load:
    return lambda folder, dtype: {kind: pipelines.load(kind, folder, dtype) for kind in kinds}


PIPELINES: Mapping[str, Load] = {
    "one": _several(KINDS[:1]),
    "two": _several(KINDS[:2]),
    "three": pipelines.separate,
    "from_pipe": pipelines.from_pipe,
    "handed_over": pipelines.handed_over,
}
SIGNBOARD, WITH_STYLES = "signboard", "signboard_with_styles"


def take(way: str, folder: Path, dtype: str) -> Footprint:
    """Load, draw, and count. With styles: the embedded profile as it is served."""
    watched = _Watched()
    if way in PIPELINES:
        return _counted(watched, *_of_pipelines(PIPELINES[way](folder, DTYPES[dtype])))
    profile = engines.embedded() if way == WITH_STYLES else engines.profile(folder, dtype)
    with _engine(_anywhere(profile)) as (engine, family):
        return _counted(watched, KINDS, _parts(family), partial(engines.draw, engine))


def _of_pipelines(made: Pipelines) -> tuple[Sequence[Kind], Modules, Draw]:
    device = pick_device("auto")
    modules = []
    for pipeline in made.values():
        pipeline.to(device)
        parts = pipeline.components.items()
        modules += [(name, part) for name, part in parts if isinstance(part, torch.nn.Module)]
    draw = partial(pipelines.draw, made, max_sequence_length=PROMPT_TOKENS)
    return list(made), modules, draw


@contextmanager
def _engine(profile: DiffusionProfile) -> Iterator[tuple[Engine, Family]]:
    """A ready engine and the family that it drives."""
    loaded: list[Family] = []

    def load(reliefs: Collection[Relief]) -> Family:
        loaded.append(load_family(profile, reliefs))
        return loaded[-1]

    engine = Engine(profile, load)
    try:
        engine.wait_until_ready(engines.READY_WITHIN_S)
        yield engine, loaded[-1]
    finally:
        engine.close()


def _anywhere(profile: DiffusionProfile) -> DiffusionProfile:
    """On a CUDA device where there is one."""
    model = profile.model.model_copy(update={"device": "auto"})
    return profile.model_copy(update={"model": model})


def _parts(family: Family) -> Modules:
    components = family.components
    return [*components.modules.items(), ("styles", components.adapters)]


def _counted(watched: "_Watched", kinds: Sequence[Kind], modules: Modules, draw: Draw) -> Footprint:
    for kind in kinds:
        draw(Job(kind, seed=1, width=SIDE, height=SIDE, steps=STEPS, strength=1.0))
    held = {}
    for name in dict.fromkeys(name for name, _ in modules):
        tensors = (
            tensor
            for own, module in modules
            if own == name
            for tensor in (*module.parameters(), *module.buffers())
        )
        held[name] = sum(one.nbytes() for one in unique_storages(tensors).values())
    after = of_process()
    return Footprint(
        held=held,
        live=live_storage_bytes(),
        before=watched.before,
        after=after,
        peak=watched.peak(),
        device=_of_device(),
    )


def of_process() -> dict[str, int]:
    """Bytes of this process.

    resident: in memory, as often as it is mapped. proportional: a file's page that is mapped n
    times, here or elsewhere, counts 1/n each time. Memory of no file counts in full, although a
    fork shares what it has not written yet with the process that it is a fork of.
    """
    lines = (line.split() for line in ROLLUP.read_text(encoding="ascii").splitlines()[1:])
    kib = {line[0].rstrip(":"): int(line[1]) for line in lines}
    counts = {
        "resident": kib["Rss"],
        "proportional": kib["Anonymous"] + kib["Pss_File"] + kib["Pss_Shmem"],
    }
    return {name: 1024 * count for name, count in counts.items()}


def _of_device() -> dict[str, int] | None:
    if not torch.cuda.is_available():
        return None
    return {
        "allocated": torch.cuda.memory_allocated(),
        "reserved": torch.cuda.memory_reserved(),
        "peak": torch.cuda.max_memory_allocated(),
    }


class _Watched:
    """The most that the process takes from now on, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.before = of_process()
        self._most = dict(self.before)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def peak(self) -> dict[str, int]:
        """The most up to now; looks no more."""
        self._ended.set()
        self._thread.join()
        return self._most

    def _look(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            now = of_process()
            self._most = {name: max(most, now[name]) for name, most in self._most.items()}
