"""Fairness and the queue: interactive work beside a campaign, exact bounds, predictions."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import ClassVar

import pytest
import torch

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.request.cost import CostModel
from deployments.diffusion.request.params import Priority, Terms
from deployments.diffusion.request.request import Row
from deployments.diffusion.request.work import Event, Progress, Work
from deployments.errors import Overloaded
from deployments.handover import Drawn
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import text_to_image

DEADLINE_S = 240
INTERACTIVE, BULK = Terms("interactive"), Terms("bulk")


class Observed(ZImage):
    """Lets the test act when a forward begins, on the device thread, its rows given."""

    listeners: ClassVar[list[Callable[[Sequence[Row]], None]]] = []

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        if rows[0].request.id != "warm-up":
            for listener in self.listeners:
                listener(rows)
        return super().velocity(rows)


@pytest.fixture
def listeners() -> Iterator[list[Callable[[Sequence[Row]], None]]]:
    yield Observed.listeners
    Observed.listeners.clear()


class Campaign:
    """A campaign that keeps the queue full, with interactive requests at a fifth of the device.

    All of it happens on the device thread, and the clock counts the tokens that were stepped: that
    is the engine's order of work, whatever the machine's speed. The first request that it sees
    starts it. It asks `alone` requests of an idle engine, fills the queue, then asks `beside`
    requests.
    """

    SHARE = 0.2
    ASKED = text_to_image(num_inference_steps=6)
    BULK_ASKED = text_to_image(num_inference_steps=20)

    def __init__(self, engine: Engine, alone: int, beside: int) -> None:
        self.engine, self.alone, self.beside = engine, alone, beside
        self.clock = 0
        self.alone_took: list[int] = []
        self.beside_took: list[int] = []
        self.bulk_steps: list[int] = []
        self.arrivals = self.asked = self.refused = 0
        self.began = 0
        self.next_arrival = float("inf")
        self.failure: Exception | None = None
        self.over = threading.Event()

    def forward_begins(self, rows: Sequence[Row]) -> None:
        if self.asked == 0:
            rows[0].request.future.add_done_callback(lambda _: self.ask_alone())
            self.asked = 1
        while self.clock >= self.next_arrival and self.arrivals < self.beside:
            self.arrivals += 1
            self.next_arrival += median(self.alone_took) / self.SHARE
            self.ask(INTERACTIVE, self.asked_beside)
            try:
                self.engine.submit("no place", *self.BULK_ASKED, BULK)
            except Overloaded:
                self.refused += 1
        stepped = max(row.tokens for row in rows) * len(rows)
        if len(rows) == 8 and all(row.priority == "bulk" for row in rows):
            self.bulk_steps.append(stepped)
        self.clock += stepped

    def ask(self, terms: Terms, then: Callable[[int], None]) -> None:
        if self.over.is_set():
            return
        self.asked += 1
        began = self.clock
        asked = self.BULK_ASKED if terms is BULK else self.ASKED
        try:
            future = self.engine.submit(f"{self.asked}", *asked, terms)
        except Exception as error:
            self.failure = error
            self.over.set()
        else:
            future.add_done_callback(lambda _: then(self.clock - began))

    def ask_alone(self, took: int | None = None) -> None:
        self.alone_took += [] if took is None else [took]
        if len(self.alone_took) < self.alone:
            self.ask(INTERACTIVE, self.ask_alone)
            return
        for _ in range(self.engine.profile.engine.max_waiting):
            self.ask(BULK, self.ask_more_bulk)
        self.began = self.clock
        self.next_arrival = self.began + median(self.alone_took) / self.SHARE

    def ask_more_bulk(self, _took: int) -> None:
        self.ask(BULK, self.ask_more_bulk)

    def asked_beside(self, took: int) -> None:
        self.beside_took.append(took)
        if len(self.beside_took) == self.beside:
            self.elapsed = self.clock - self.began
            self.over.set()


def test_an_interactive_request_hardly_notices_a_campaign(
    checkpoint: Path, make_engine: MakeEngine, listeners: list[object]
) -> None:
    """Half as long again as alone, and the bulk step that it finds running, are its bound."""
    engine = make_engine(tiny_profile(checkpoint, max_running=8, max_waiting=16), Observed)
    campaign = Campaign(engine, alone=3, beside=21)
    listeners.append(campaign.forward_begins)
    engine.submit("first", *campaign.ASKED)
    assert campaign.over.wait(DEADLINE_S)
    assert campaign.failure is None
    assert campaign.refused == campaign.beside  # it found the queue full each time
    share = campaign.beside * median(campaign.alone_took) / campaign.elapsed
    assert share == pytest.approx(campaign.SHARE, rel=0.1)
    bound = 1.5 * median(campaign.alone_took) + median(campaign.bulk_steps)
    assert max(campaign.beside_took) <= bound


def test_bulk_rows_step_in_a_stated_number_of_borders(
    checkpoint: Path, make_engine: MakeEngine, listeners: list[object]
) -> None:
    """However much interactive work there is."""
    ageing, running = 4, 3
    profile = tiny_profile(checkpoint, max_running=running, ageing_borders=ageing)
    engine = make_engine(profile, Observed)
    bulk: dict[str, list[int]] = {f"bulk-{i}": [] for i in range(running)}
    ticks = 0
    over = threading.Event()

    def ask(name: str) -> None:
        if not over.is_set():
            future = engine.submit(name, *text_to_image(num_inference_steps=5), INTERACTIVE)
            future.add_done_callback(lambda _: ask(f"{name}+"))

    def forward_begins(rows: Sequence[Row]) -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 1:
            for i in range(2 * running):
                ask(f"{i}")
        elif ticks == 3:  # interactive rows have every running place, and others wait for them
            for name in bulk:
                engine.submit(name, *text_to_image(num_inference_steps=6), BULK)
        for row in rows:
            if row.priority == "bulk":
                bulk[row.request.id].append(ticks)
        if all(len(steps) == 6 for steps in bulk.values()):
            over.set()

    listeners.append(forward_begins)
    engine.submit("first", *text_to_image())
    assert over.wait(DEADLINE_S)
    for steps in bulk.values():
        assert steps[0] - 3 <= ageing + ageing + running  # admitted, then stepped
        assert max(b - a for a, b in pairwise(steps)) <= ageing + running


def test_n_pictures_are_n_rows(
    checkpoint: Path, make_engine: MakeEngine, listeners: list[object]
) -> None:
    engine = make_engine(tiny_profile(checkpoint), Observed)
    batches: list[int] = []
    listeners.append(lambda rows: batches.append(len(rows)))
    for n in (1, 4):
        batches.clear()
        engine.submit("pictures", *text_to_image(n=n, num_inference_steps=5)).result(DEADLINE_S)
        assert batches == [n] * 5


@pytest.mark.parametrize(("priority", "places"), [("interactive", 40), ("bulk", 32)])
def test_of_200_that_arrive_at_once_exactly_the_places_are_given_out(
    checkpoint: Path,
    make_engine: MakeEngine,
    listeners: list[object],
    priority: Priority,
    places: int,
) -> None:
    engine = make_engine(tiny_profile(checkpoint, max_running=8, max_waiting=32), Observed)
    gate = threading.Event()
    listeners.append(lambda rows: gate.wait(DEADLINE_S))
    together = threading.Barrier(200)

    def arrive(i: int) -> Future[Drawn] | Overloaded:
        together.wait(DEADLINE_S)
        try:
            return engine.submit(f"{i}", *text_to_image(num_inference_steps=1), Terms(priority))
        except Overloaded as refusal:
            return refusal

    with ThreadPoolExecutor(200) as crowd:
        outcomes = list(crowd.map(arrive, range(200)))
    refusals = [one for one in outcomes if isinstance(one, Overloaded)]
    assert len(refusals) == 200 - places
    assert all(one.retry_after_s > 0 and one.code == "queue_full" for one in refusals)
    rest = 40 - places  # bulk work leaves them free
    for i in range(rest):
        engine.submit(f"urgent-{i}", *text_to_image(num_inference_steps=1))
    with pytest.raises(Overloaded):
        engine.submit("one more", *text_to_image())
    gate.set()
    accepted = [one for one in outcomes if isinstance(one, Future)]
    assert len(accepted) == places
    for future in accepted:
        assert len(future.result(DEADLINE_S).pictures) == 1


class KnownCost(CostModel):
    """A second a token and step, whatever the machine is busy with; decoding takes no time."""

    def seconds(self, work: Work) -> float:
        return float(work.token_steps)


@pytest.mark.parametrize(
    ("pictures", "positions"),
    [
        ([1] * 10, [0, 3, 0, 0, 0, 4, 5, 0, 1, 2]),
        ([1, 4, 1, 3, 1, 1, 4, 1, 2, 4], [0, 11, 0, 0, 3, 15, 16, 4, 5, 7]),
    ],
    ids=["one each", "many"],
)
def test_the_predicted_end_comes_nearer_and_is_about_true(
    checkpoint: Path,
    make_engine: MakeEngine,
    listeners: list[object],
    pictures: list[int],
    positions: list[int],
) -> None:
    """Of every request in a queue of both priorities, running or waiting, at every tick."""
    engine = make_engine(tiny_profile(checkpoint, max_running=4), Observed)
    engine._admission.cost = KnownCost()
    clock = 0
    submitted = threading.Event()

    def forward_begins(rows: Sequence[Row]) -> None:
        nonlocal clock
        submitted.wait(DEADLINE_S)
        clock += max(row.tokens for row in rows) * len(rows)

    listeners.append(forward_begins)
    told: dict[str, list[tuple[int, Progress]]] = {}

    def note(name: str) -> Callable[[Event], None]:
        told[name] = []

        def sink(event: Event) -> None:
            assert isinstance(event, Progress)
            told[name].append((clock, event))

        return sink

    futures = []
    for i, n in enumerate(pictures):
        terms = BULK if i in (1, 5, 6) else INTERACTIVE
        params, _ = text_to_image(num_inference_steps=5 + i % 3 * 4, seed=i, n=n)
        futures.append(engine.submit(f"{i}", params, None, terms, note(f"{i}")))
    submitted.set()
    for future in futures:
        future.result(DEADLINE_S)
    for events in told.values():
        end, last = events[-1]
        assert (last.step, last.eta_s) == (last.steps, 0)
        for at, event in events[:-1]:
            assert 0.6 <= event.eta_s / (end - at) <= 1.7
        predicted = [event.eta_s for _, event in events]
        assert predicted == sorted(predicted, reverse=True)
    waited = [events[0][1].position for events in told.values()]
    assert waited == positions
