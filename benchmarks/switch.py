"""What a change costs: the first request of another kind against one more of the same kind.

Text to image, image to image and inpainting in turn, by diffusers' pipelines in the ways that
people keep them, and by Signboard; then styles, and the first request after sleep.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import torch

from benchmarks import changes, checkpoint, serving, switch_report
from benchmarks.baselines import pipelines
from benchmarks.baselines.reloading import Reloading
from benchmarks.changes import Asked, Changes, Way
from benchmarks.engines import ANSWER_WITHIN_S, changed, embedded, running
from benchmarks.jobs import EXACT_STRENGTH, KINDS, Job, Kind
from benchmarks.report import Report
from benchmarks.suite import Say
from benchmarks.turns import timed
from deployments.diffusion.components import DTYPES
from deployments.diffusion.engine import Engine
from deployments.diffusion.profile import EMBEDDED_MODEL, DiffusionProfile

SAME_PROMPT = 512  # of jobs whose seeds differ by it: equal words, other pictures
STYLES = (None, "night", "ink")
SLEEP_AFTER_S = 0.2
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

    small, large: of Signboard with either model. theirs: of each baseline beside it.
    """

    small: int
    large: int
    theirs: int
    styles: int
    sleeps: int


FULL = Rounds(small=11, large=24, theirs=2, styles=3, sleeps=6)
QUICK = Rounds(1, 1, 1, 1, 1)


def measure(quick: bool, say: Say) -> Report:
    """The embedded model in process and over HTTP, then the 1 GB checkpoint (quick: a small one).

    Every request is new work: what Signboard keeps of a prompt is off, and seeds are fresh.
    """
    rounds = QUICK if quick else FULL
    small = Model("Embedded model", EMBEDDED_MODEL, embedded(embedding_cache_bytes=0), 128, 8)
    torch.set_num_threads(small.profile.engine.threads)
    with tempfile.TemporaryDirectory(prefix="signboard-bench-") as name:
        folder = EMBEDDED_MODEL if quick else checkpoint.save(Path(name))
        profile = changed(checkpoint.profile(folder), embedding_cache_bytes=0)
        large = Model("1 GB checkpoint", folder, profile, 64, 1)
        in_process = _in_process(small, rounds.small, rounds.theirs, say)
        return switch_report.report(
            kinds={
                small.title: in_process | _over_http(small, rounds.small, say),
                large.title: _in_process(large, rounds.large, rounds.theirs, say),
            },
            styles=_styles(small, rounds.styles, say),
            sleeps={model.title: _sleeps(model, rounds.sleeps, say) for model in (small, large)},
        )


def _in_process(model: Model, ours: int, theirs: int, say: Say) -> dict[str, Changes]:
    """Three kinds in turn by every way that needs no server, in so many rounds."""
    dtype = DTYPES[model.profile.model.dtype]
    draws: dict[str, Callable[..., object]] = {
        switch_report.RELOAD: Reloading(model.folder, dtype).draw,
        switch_report.SEPARATE: partial(pipelines.draw, pipelines.separate(model.folder, dtype)),
        switch_report.HANDED: partial(pipelines.draw, pipelines.handed_over(model.folder, dtype)),
    }
    with running(model.profile) as engine:
        ways = {name: Asked(_drawn_by(draw, model), theirs) for name, draw in draws.items()}
        ways[switch_report.OURS] = Asked(_asked_of(engine, model), ours)
        _warm_up([asked.way for asked in ways.values()])
        return changes.in_turn(ways, KINDS, _progress(say, f"{model.title}, kinds"))


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
        before = _forwards(client)
        told = changes.in_turn(
            {switch_report.HTTP: Asked(way, rounds)},
            KINDS,
            _progress(say, f"{model.title}, kinds over HTTP"),
        )
        asked = rounds * (len(changes.ROUND) + 1)
        if (forwards := _forwards(client) - before) != asked * model.steps:
            raise ValueError(f"{asked} requests took {forwards} forwards: not all were drawn anew")
        return told


def _forwards(client: httpx.Client) -> int:
    """Forward passes of the server's model so far."""
    told: int = client.get("/v1/capabilities").raise_for_status().json()["engine"]["forwards"]
    return told


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
    """Seconds of a request to a model that is awake, and of the first to one that sleeps."""
    told = model.profile.model_dump(mode="json")
    told["model"] |= {"residency": "sleep", "sleep_after_s": SLEEP_AFTER_S}
    with ExitStack() as stack:
        sleeper = stack.enter_context(running(DiffusionProfile.model_validate(told)))
        awake = stack.enter_context(running(model.profile))
        ways = {"awake": _asked_of(awake, model), "asleep": _asked_of(sleeper, model)}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(-1, sleeps):
            for name, way in ways.items():
                while sleeper.state().phase != "sleeping":
                    time.sleep(POLL_S)
                seconds = timed(way("t2i", number + 1))
                if number >= 0:
                    times[name].append(seconds)
    say(f"{model.title}: {sleeps} sleeps")
    return times


def _drawn_by(draw: Callable[..., object], model: Model) -> Way[Kind]:
    """By diffusers. Its prompts are padded to what the profile reads at most, not to 512."""
    longest = model.profile.engine.max_prompt_tokens

    def way(kind: Kind, number: int) -> Callable[[], object]:
        job = model.job(kind, number)
        _ = job.call  # makes the picture that an edit starts from
        return lambda: draw(job, max_sequence_length=longest)

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
