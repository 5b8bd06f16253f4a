"""What a change costs: the first request of another kind against one more of the same kind.

Text to image, image to image and inpainting in turn, by diffusers' pipelines in the ways that
people keep them, and by Signboard; then styles, and the first request after sleep.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from benchmarks.baselines import DrawingProcess, pipelines, processes
from benchmarks.harness import (
    ANSWER_WITHIN_S,
    EXACT_STRENGTH,
    KINDS,
    SAME_PROMPT,
    Job,
    Kind,
    Report,
    Say,
    changed,
    embedded,
    engines,
    own_seconds,
    running,
    serving,
    timed,
)
from benchmarks.switch import changes
from benchmarks.switch import report as switch_report
from benchmarks.switch.changes import Asked, Changes, Way
from deployments.diffusion.engine import Engine
from deployments.diffusion.profile import EMBEDDED_MODEL, DiffusionProfile
from deployments.diffusion.weights import DTYPES

STYLES = (None, "night", "ink")
SLEEP_AFTER_S = 0.2
ASLEEP_WITHIN_S = 60.0
POLL_S = 0.005


@dataclass(frozen=True)
class Model:
    """What is drawn with. folder: of the checkpoint, for diffusers. side: pixels."""

    title: str
    folder: Path
    profile: DiffusionProfile
    side: int
    steps: int

    def job(self, kind: Kind, number: int) -> Job:
        """The same steps and words whatever the number, at full strength: the same work."""
        seed = SAME_PROMPT * number
        return Job(kind, seed, self.side, self.side, self.steps, EXACT_STRENGTH)


@dataclass(frozen=True)
class Rounds:
    """How many.

    small, large: of Signboard with either model. http: of its server. theirs: of each baseline
    beside it.
    """

    small: int
    http: int
    large: int
    theirs: int
    styles: int
    sleeps: int


FULL = Rounds(small=20, http=36, large=22, theirs=1, styles=1, sleeps=3)
QUICK = Rounds(1, 1, 1, 1, 1, 1)


def measure(quick: bool, say: Say) -> Report:
    """The embedded model in process and over HTTP, then the 1 GB checkpoint (quick: a small one).

    Every request is new work: what Signboard keeps of a prompt is off, and seeds are fresh.
    """
    rounds = QUICK if quick else FULL
    small = Model("Embedded model", EMBEDDED_MODEL, embedded(embedding_cache_bytes=0), 128, 4)
    with tempfile.TemporaryDirectory(prefix="signboard-bench-") as name:
        folder = EMBEDDED_MODEL if quick else engines.save(Path(name))
        profile = changed(engines.profile(folder), embedding_cache_bytes=0)
        large = Model("1 GB checkpoint", folder, profile, 64, 1)
        in_process = _in_process(small, rounds.small, rounds.theirs, say)
        return switch_report.report(
            kinds={
                small.title: in_process | _over_http(small, rounds.http, say),
                large.title: _in_process(large, rounds.large, rounds.theirs, say),
            },
            styles=_styles(small, rounds.styles, say),
            sleeps={model.title: _sleeps(model, rounds.sleeps, say) for model in (small, large)},
        )


def _in_process(model: Model, ours: int, theirs: int, say: Say) -> dict[str, Changes]:
    """Three kinds in turn by every way that needs no server, each in a process of its own."""
    limits = model.profile.engine
    how = (model.folder, DTYPES[model.profile.model.dtype], limits.threads)
    longest = limits.max_prompt_tokens  # what diffusers pads prompts to here, and not to 512
    say(f"{model.title}: the ways are loaded")
    with (
        processes.by_reloading(*how, max_sequence_length=longest) as reload,
        processes.by_pipelines(pipelines.separate, *how, max_sequence_length=longest) as separate,
        processes.by_pipelines(pipelines.handed_over, *how, max_sequence_length=longest) as handed,
        processes.engine(model.profile) as own,
    ):
        ways = {
            switch_report.RELOAD: Asked(_by(reload, model), theirs),
            switch_report.SEPARATE: Asked(_by(separate, model), theirs),
            switch_report.HANDED: Asked(_by(handed, model), theirs),
            switch_report.OURS: Asked(_by(own, model), ours),
        }
        _warm_up([asked.way for asked in ways.values()])
        progress = _progress(say, f"{model.title}, kinds")
        return changes.in_turn(ways, KINDS, progress, own_seconds)


def _over_http(model: Model, rounds: int, say: Say) -> dict[str, Changes]:
    """Three kinds in turn by a server of its own. Raises ValueError if it did not draw them all."""
    say(f"{model.title}: a server starts")
    with (
        serving.signboard(model.profile) as url,
        httpx.Client(base_url=url, timeout=ANSWER_WITHIN_S) as client,
    ):

        def way(kind: Kind, number: int) -> Callable[[], object]:
            job = model.job(kind, number)
            request = client.build_request("POST", job.path, **job.request())
            return lambda: client.send(request).raise_for_status()

        _warm_up([way])
        before = serving.engine_state(client)["forwards"]
        changed = changes.in_turn(
            {switch_report.HTTP: Asked(way, rounds)},
            KINDS,
            _progress(say, f"{model.title}, kinds over HTTP"),
        )
        asked = rounds * (len(changes.ROUND) + 1)
        if (forwards := serving.engine_state(client)["forwards"] - before) != asked * model.steps:
            raise ValueError(f"{asked} requests took {forwards} forwards: not all were drawn anew")
        return changed


def _styles(model: Model, rounds: int, say: Say) -> Changes:
    """No style and two of the profile's, in turn, in process."""
    with running(model.profile) as engine:

        def way(style: str | None, number: int) -> Callable[[], object]:
            params = replace(model.job("t2i", number).params, style=style)
            name = f"{style}-{number}"
            return lambda: engine.submit(name, params).result(ANSWER_WITHIN_S)

        for style in STYLES:
            way(style, 100_000)()
        ways = {switch_report.OURS: Asked(way, rounds)}
        return changes.in_turn(ways, STYLES, _progress(say, "styles"))[switch_report.OURS]


def _sleeps(model: Model, sleeps: int, say: Say) -> dict[str, list[float]]:
    """Seconds of the first request to a model that sleeps, and of the next, when it is awake."""
    fields = model.profile.model_dump(mode="json")
    fields["model"] |= {"residency": "sleep", "sleep_after_s": SLEEP_AFTER_S}
    times: dict[str, list[float]] = {"awake": [], "asleep": []}
    with running(DiffusionProfile.model_validate(fields)) as engine:
        ask = _asked_of(engine, model)
        for number in range(-1, sleeps):
            _wait_until_asleep(engine)
            asleep, awake = (timed(ask("t2i", 2 * (number + 1) + i)) for i in range(2))
            if number >= 0:
                times["asleep"].append(asleep)
                times["awake"].append(awake)
    say(f"{model.title}: {sleeps} sleeps")
    return times


def _wait_until_asleep(engine: Engine) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + ASLEEP_WITHIN_S
    while engine.state().phase != "sleeping":
        if time.monotonic() > deadline:
            raise TimeoutError(f"the model was awake for {ASLEEP_WITHIN_S:.0f} s without work")
        time.sleep(POLL_S)


def _by(process: DrawingProcess, model: Model) -> Way[Kind]:
    """The picture that an edit starts from is made before the clock runs."""

    def way(kind: Kind, number: int) -> Callable[[], object]:
        job = model.job(kind, number)
        _ = job.picture, job.mask
        return lambda: process.seconds(job)

    return way


def _asked_of(engine: Engine, model: Model) -> Way[Kind]:
    def way(kind: Kind, number: int) -> Callable[[], object]:
        job = model.job(kind, number)
        params, given = job.params, job.given
        return lambda: engine.submit(f"{kind}-{number}", params, given).result(ANSWER_WITHIN_S)

    return way


def _warm_up(ways: Sequence[Way[Any]]) -> None:
    """One request of each kind by each way, with numbers that no round has."""
    for way in ways:
        for number, kind in enumerate(KINDS):
            way(kind, 100_000 + number)()


def _progress(say: Say, what: str) -> Callable[[int, int], None]:
    return lambda done, of: say(f"{what}: {done} of {of} rounds")
