"""A discrete-event simulation of pictures on their way through a service's stages.

Each stage has servers with queues of their own; a picture takes the shorter queue of two that are
drawn at random, as Ray Serve's router does. Where `cores` are bounded, a server needs one of them
for every slice of its work, so that stages share a machine.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

SLICE_S = 0.01  # that a core is held at a time
WARM_UP = 0.3  # of the pictures, which fill the queues and do not count


@dataclass(frozen=True, slots=True)
class Stage:
    """seconds: that one picture keeps one of the servers busy."""

    name: str
    servers: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """images_s: pictures a second, once the queues are full. busy: share of each stage's time."""

    images_s: float
    busy: Mapping[str, float]

    @property
    def bottleneck(self) -> str:
        """The stage with the least time left."""
        return max(self.busy, key=lambda name: self.busy[name])


@dataclass(eq=False)
class _Server:
    stage: int
    queue: deque[int] = field(default_factory=deque)
    left: float = 0.0  # of the picture at the head


class _Run:
    def __init__(self, stages: Sequence[Stage], cores: int | None, seed: int) -> None:
        self.stages = stages
        self.chance = random.Random(seed)
        self.servers = [[_Server(i) for _ in range(s.servers)] for i, s in enumerate(stages)]
        self.free = cores
        self.runnable: deque[_Server] = deque()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.number = 0
        self.now = 0.0
        self.busy = [0.0] * len(stages)
        self.done: list[float] = []

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self.number += 1  # ties are broken by order
        heapq.heappush(self.events, (self.now + seconds, self.number, what))

    def arrive(self, picture: int, stage: int) -> None:
        if stage == len(self.stages):
            self.done.append(self.now)
            stage = 0  # its client asks for the next
        servers = self.servers[stage]
        draw = self.chance.choices(servers, k=2)
        server = min(draw, key=lambda one: len(one.queue))
        server.queue.append(picture)
        if len(server.queue) == 1:
            self.begin(server)

    def begin(self, server: _Server) -> None:
        server.left = self.stages[server.stage].seconds * self.chance.uniform(0.75, 1.25)
        self.busy[server.stage] += server.left
        self.runnable.append(server)
        self.give_cores()

    def give_cores(self) -> None:
        while self.runnable and self.free != 0:
            server = self.runnable.popleft()
            took = server.left
            if self.free is not None:
                self.free -= 1
                took = min(SLICE_S, server.left)
            self.after(took, partial(self.sliced, server, took))

    def sliced(self, server: _Server, took: float) -> None:
        if self.free is not None:
            self.free += 1
        server.left -= took
        if server.left > 0:
            self.runnable.append(server)
        else:
            picture = server.queue.popleft()
            self.arrive(picture, server.stage + 1)
            if server.queue:
                self.begin(server)
        self.give_cores()


def simulate(
    stages: Sequence[Stage],
    clients: int,
    pictures: int,
    cores: int | None = None,
    seed: int = 0,
) -> Outcome:
    """So many clients, each asking anew once it has its picture, until `pictures` are drawn.

    cores: that all stages share; None where every server has one of its own. A picture's seconds
    vary by a quarter about the stage's.
    """
    run = _Run(stages, cores, seed)
    for picture in range(clients):
        run.arrive(picture, 0)
    counted, began, busy = 0, 0.0, list(run.busy)
    while len(run.done) < pictures:
        if not counted and len(run.done) >= WARM_UP * pictures:
            counted, began, busy = len(run.done), run.now, list(run.busy)
        run.now, _, what = heapq.heappop(run.events)
        what()
    took = run.now - began
    shares = {
        stage.name: (spent - before) / (took * stage.servers)
        for stage, spent, before in zip(stages, run.busy, busy, strict=True)
    }
    return Outcome((len(run.done) - counted) / took, shares)
