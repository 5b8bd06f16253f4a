"""Pictures a second over replicas: one and two on this machine, up to 1,000 GPUs simulated.

Both servers, of one and of two replicas of the diffusion room, are up from the start and take
turns under load; each replica's model has one thread. From the processor time that each kind of
process takes for a picture the simulation is made, which is held against the two measured numbers
first, and then given more machines.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from benchmarks.harness import Clients, Mix, Report, Say, Tally, cpu_seconds, engines, run, serving
from benchmarks.scale import report as scale_report
from benchmarks.scale.report import Measured
from serve.commands import LOOPBACK, free_port

REPLICAS = (1, 2)
CLIENTS = 16
SIDE = 256
TURNS, WARM_UP_S, LOAD_S = 2, 1.0, 5.0
SEEDS = count(100_000_000, 1_000_000)

REPLICA = "ray::ServeReplica:signboard:"
PARTS: Mapping[str, str] = {
    "engine": f"{REPLICA}DiffusionDeployment",
    "ingress": f"{REPLICA}Ingress",
    "post-process": f"{REPLICA}PostProcessDeployment",
    "proxy": "ray::ProxyActor",
}


def measure(quick: bool, say: Say) -> Report:
    """One and two replicas in turn, then the simulation. quick: a second of one replica."""
    counts, turns = (REPLICAS[:1], 1) if quick else (REPLICAS, TURNS)
    warm_up_s, load_s = (0.5, 1.0) if quick else (WARM_UP_S, LOAD_S)
    measured: dict[int, list[Measured]] = {number: [] for number in counts}
    with ExitStack() as stack:
        urls: dict[int, str] = {}
        for number in counts:
            say(f"starting {number} replica(s)")
            urls[number] = stack.enter_context(server(number))
        for turn in range(turns):
            for number in counts if turn % 2 == 0 else reversed(counts):
                say(f"turn {turn + 1} of {turns}: {number} replica(s)")
                first = warm_up_s if turn == 0 else 0.0
                measured[number].append(loaded(urls[number], first, load_s))
    say("simulating")
    return scale_report.report(measured, CLIENTS, SIDE, most_gpus=8 if quick else 1000)


@contextmanager
def server(replicas: int) -> Iterator[str]:
    """One server with so many replicas, each a thread wide, their caches off."""
    profile = engines.embedded(threads=1, embedding_cache_bytes=0)
    with tempfile.TemporaryDirectory() as name:
        file = serving.write_profile(profile, Path(name))
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.baselines.replicas", "--profile", str(file)]
        command += ["--replicas", str(replicas), "--port", str(port)]
        url = f"http://{LOOPBACK}:{port}"
        with serving.process(command, url, "/health/ready") as started:
            yield started


def loaded(url: str, warm_up_s: float, seconds: float) -> Measured:
    """A server under load: pictures a second, and processor seconds a picture by process.

    warm_up_s: of load before, which does not count; 0 for none.
    """
    mix = Mix(sizes=((SIDE, SIDE),))

    async def load(clients: Clients, seconds: float) -> Tally:
        return await clients.closed(CLIENTS, 0.0, seconds)

    if warm_up_s:
        run(lambda: load(Clients(url, mix, next(SEEDS)), warm_up_s))
    clients = Clients(url, mix, next(SEEDS))
    before = cpu_seconds(PARTS)
    tally = run(lambda: load(clients, seconds))
    spent = {name: after - before[name] for name, after in cpu_seconds(PARTS).items()}
    if tally.errors:
        raise RuntimeError(f"pictures failed: {dict(tally.errors)}")
    return Measured(
        tally.images_s, {name: cpu_s / clients.answered for name, cpu_s in spent.items()}
    )
