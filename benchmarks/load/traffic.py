"""A server full of clients, and one with random arrivals, beside the ways that most people serve.

Three servers of the same model and number of threads: Signboard; FastAPI with one lock around
diffusers' pipelines; a Ray Serve replica with `@serve.batch` around them. All are up from the
start; they take turns under load, while the others idle.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import count

import httpx

from benchmarks.harness import Clients, Mix, Report, Say, Tally, busy_cores, engines, run, serving
from benchmarks.load import report
from benchmarks.load.report import BATCH, LOCK, SIGNBOARD, Open, Server, Turns
from serve.commands import LOOPBACK, free_port

CLIENTS = 16
THREADS = 2  # of each server's model
SIDES = (256, 128)
WARM_UP_S = {256: 8.0, 128: 1.0}  # the first load starts one more post-process replica
CYCLES, CLOSED_S = 3, 5.0
LOAD = 0.7  # of what was measured to be the most
OPEN_WARM_UP_S, OPEN_S = 3.0, 10.0
BULK = 4  # one request of so many
SEEDS = count(10_000_000, 1_000_000)  # every run has seeds of its own


def measure(quick: bool, say: Say) -> Report:
    """Saturated throughput, and an open loop. quick: two servers, seconds of load."""
    sides, cycles = (SIDES[1:], 1) if quick else (SIDES, CYCLES)
    names: Sequence[Server] = (SIGNBOARD, LOCK) if quick else (SIGNBOARD, LOCK, BATCH)
    closed_s = 1.0 if quick else CLOSED_S
    open_warm_up_s, open_s = (0.5, 2.0) if quick else (OPEN_WARM_UP_S, OPEN_S)
    with ExitStack() as stack:
        urls: dict[Server, str] = {}
        for name in names:
            say(f"starting {name}")
            urls[name] = stack.enter_context(server(name))
        idle_cores = busy_cores(1.0 if quick else 5.0)
        turns: Turns = {(side, name): [] for side in sides for name in names}
        for side in sides:
            mix = Mix(sizes=((side, side),))
            for cycle in range(cycles):
                for name in names if cycle % 2 == 0 else reversed(names):
                    say(f"{side}x{side}, turn {cycle + 1} of {cycles}: {name}")
                    first = WARM_UP_S[side] if cycle == 0 else 0.0
                    turns[side, name].append(closed(urls[name], mix, first, closed_s))
        rate = LOAD * capacity([turns[side, SIGNBOARD] for side in sides])
        sizes = tuple((side, side) for side in sides)
        opened: list[Open] = []
        for name in (SIGNBOARD, LOCK):
            say(f"random arrivals, {rate:.1f} a second: {name}")
            own = name == SIGNBOARD
            mix = Mix(sizes=sizes, bulk=BULK if own else 0, streamed=own)
            opened.append(random_arrivals(name, urls[name], mix, rate, open_warm_up_s, open_s))
    return report.report(turns, opened, rate, idle_cores)


def server(name: Server) -> AbstractContextManager[str]:
    """One server of the embedded model, its caches off."""
    if name == SIGNBOARD:
        return serving.signboard(engines.embedded(threads=THREADS, embedding_cache_bytes=0))
    module = "lock_server" if name == LOCK else "batch_server"
    port = free_port()
    command = [sys.executable, "-m", f"benchmarks.baselines.{module}"]
    command += ["--port", str(port), "--threads", str(THREADS)]
    return serving.process(command, f"http://{LOOPBACK}:{port}", "/health")


def closed(url: str, mix: Mix, warm_up_s: float, seconds: float) -> Tally:
    """A server with as many requests as there are clients."""

    async def loop() -> Tally:
        return await Clients(url, mix, next(SEEDS)).closed(CLIENTS, warm_up_s, seconds)

    return run(loop)


def random_arrivals(
    name: Server, url: str, mix: Mix, rate: float, warm_up_s: float, seconds: float
) -> Open:
    """A server whose requests come when they will; of Signboard the device's idle share too."""

    async def loop() -> Tally:
        return await Clients(url, mix, next(SEEDS)).open(rate, warm_up_s, seconds)

    own = name == SIGNBOARD
    began, idle = time.perf_counter(), idle_s(url) if own else 0.0
    tally = run(loop)
    took = time.perf_counter() - began
    return Open(name, tally, (idle_s(url) - idle) / took if own else None)


def idle_s(url: str) -> float:
    """Seconds that Signboard's device has waited for work so far."""
    with httpx.Client(base_url=url, timeout=30) as client:
        waited: float = serving.engine_state(client)["idle_s"]
    return waited


def capacity(of_sides: Sequence[Sequence[Tally]]) -> float:
    """Pictures a second of all sides in turn, from what each gives alone."""
    rates = [statistics.mean(tally.images_s for tally in tallies) for tallies in of_sides]
    return statistics.harmonic_mean(rates)
