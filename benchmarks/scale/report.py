"""What one and two replicas gave, and what the simulation makes of more, as a report."""

import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.harness import Plot, Report, Series, Table
from benchmarks.scale.simulation import Outcome, Stage, simulate

GPUS_A_NODE = 8
CLIENTS_A_GPU = 6
PICTURES_A_GPU, LEAST_PICTURES = 12, 1000
CHECK_PICTURES = 2000
SPARE = 1.25  # more servers than the arithmetic asks for, where stages grow with the GPUs
INGRESSES, POST_PROCESSES = 2, 4  # of the packaged Serve config, the latter at most
NETWORK_BYTES_S = 1.25e9  # of a node: 10 Gbit/s
GPU_SIDE, GPU_S = 1024, 0.906  # SGLang's published picture on an H100


@dataclass(frozen=True, slots=True)
class Measured:
    """One turn. cpu_s: processor seconds a picture, by kind of process."""

    images_s: float
    cpu_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Workload:
    """What is drawn. seconds: a picture's at each stage; handed_bytes: between the rooms."""

    name: str
    seconds: Mapping[str, float]
    handed_bytes: float


@dataclass(frozen=True, slots=True)
class Point:
    """One simulated service."""

    workload: Workload
    deployment: str
    gpus: int
    outcome: Outcome

    @property
    def ideal(self) -> float:
        """Pictures a second if only the engines took time."""
        return self.gpus / self.workload.seconds["engine"]


DEPLOYMENTS = ("as configured", "rooms grown", "rooms and proxies grown")


def report(
    measured: Mapping[int, Sequence[Measured]], clients: int, side: int, most_gpus: int
) -> Report:
    """All of it. measured: by number of replicas. side: of the pictures, in pixels."""
    cpu_s = {
        part: statistics.median(turn.cpu_s[part] for turn in measured[1])
        for part in measured[1][0].cpu_s
    }
    checked = check(measured, cpu_s, clients)
    points = simulated(workloads(cpu_s, side), most_gpus)
    return Report(
        tables=[check_table(measured, checked), stage_table(cpu_s, side), limits_table(points)],
        plots=plots(points),
        notes=notes(checked, measured, side),
        data={
            "measured": {
                str(number): [{"images_s": t.images_s, "cpu_s": dict(t.cpu_s)} for t in turns]
                for number, turns in measured.items()
            },
            "simulated_here": {
                str(number): outcome.images_s for number, outcome in checked.items()
            },
            "simulated": [
                {
                    "workload": p.workload.name,
                    "deployment": p.deployment,
                    "gpus": p.gpus,
                    "images_s": p.outcome.images_s,
                    "ideal": p.ideal,
                    "busy": dict(p.outcome.busy),
                }
                for p in points
            ],
        },
    )


def check(
    measured: Mapping[int, Sequence[Measured]], cpu_s: Mapping[str, float], clients: int
) -> dict[int, Outcome]:
    """This machine simulated, by number of replicas: every process shares its cores."""
    return {
        number: simulate(
            [
                Stage("proxy", 1, cpu_s["proxy"]),
                Stage("ingress", INGRESSES, cpu_s["ingress"]),
                Stage("engine", number, cpu_s["engine"]),
                Stage("post-process", 2, cpu_s["post-process"]),
                Stage("rest", 1, cpu_s["rest"]),
            ],
            clients,
            CHECK_PICTURES,
            cores=os.cpu_count(),
        )
        for number in measured
    }


def workloads(cpu_s: Mapping[str, float], side: int) -> list[Workload]:
    """What was measured, and large pictures on GPUs."""
    stages = ("proxy", "ingress", "engine", "post-process")
    here = {stage: cpu_s[stage] for stage in stages}
    scale = (GPU_SIDE / side) ** 2
    large = {stage: seconds * scale for stage, seconds in here.items()} | {"engine": GPU_S}
    return [
        Workload(f"{side}x{side}, engine as measured", here, handed_bytes(side)),
        Workload(f"{GPU_SIDE}x{GPU_SIDE} in {GPU_S} s", large, handed_bytes(GPU_SIDE)),
    ]


def handed_bytes(side: int) -> float:
    """Between the rooms: the drawn picture; of two in three the given one; of one in three a
    mask."""
    return side * side * (3 + 3 * 2 / 3 + 1 / 3)


def simulated(of: Sequence[Workload], most_gpus: int) -> list[Point]:
    """Every workload on every deployment, with more and more GPUs."""
    sizes = [2**i for i in range(int(math.log2(most_gpus)) + 1)]
    if sizes[-1] != most_gpus:
        sizes.append(most_gpus)
    return [
        Point(workload, deployment, gpus, outcome(workload, deployment, gpus))
        for workload in of
        for deployment in DEPLOYMENTS
        for gpus in sizes
    ]


def outcome(workload: Workload, deployment: str, gpus: int) -> Outcome:
    """One service: every server has a core or a GPU of its own."""
    nodes = -(-gpus // GPUS_A_NODE)
    seconds = workload.seconds

    def needed(stage: str) -> int:
        return math.ceil(SPARE * gpus * seconds[stage] / seconds["engine"]) + 1

    grown = deployment != DEPLOYMENTS[0]
    stages = [
        Stage("proxy", needed("proxy") if deployment == DEPLOYMENTS[2] else 1, seconds["proxy"]),
        Stage("ingress", needed("ingress") if grown else INGRESSES, seconds["ingress"]),
        Stage("engine", gpus, seconds["engine"]),
        Stage("object store", nodes, workload.handed_bytes / NETWORK_BYTES_S),
        Stage(
            "post-process",
            needed("post-process") if grown else POST_PROCESSES,
            seconds["post-process"],
        ),
    ]
    return simulate(stages, CLIENTS_A_GPU * gpus, max(LEAST_PICTURES, PICTURES_A_GPU * gpus))


def check_table(
    measured: Mapping[int, Sequence[Measured]], checked: Mapping[int, Outcome]
) -> Table:
    """Simulated beside measured."""
    rows = []
    for number, turns in measured.items():
        rates = [turn.images_s for turn in turns]
        middle = statistics.median(rates)
        own = checked[number].images_s
        rows.append([number, middle, min(rates), max(rates), own, own / middle])
    return Table(
        title="Replicas on this machine, one thread each, images/s",
        columns=["replicas", "measured", "least", "most", "simulated", "ratio"],
        rows=[list(row) for row in rows],
    )


def stage_table(cpu_s: Mapping[str, float], side: int) -> Table:
    """What the simulation is made from."""
    rest = "rest (clients, Ray)"
    return Table(
        title=f"Processor time a picture of {side}x{side}, ms",
        columns=["process", "ms", "pictures a second of one"],
        rows=[
            [rest if part == "rest" else part, seconds * 1e3, 1 / seconds if seconds else None]
            for part, seconds in cpu_s.items()
        ],
    )


def limits_table(points: Sequence[Point]) -> Table:
    """How far each deployment grows, and what stops it."""
    rows: list[list[str | int | float | None]] = []
    for workload in dict.fromkeys(point.workload.name for point in points):
        for deployment in DEPLOYMENTS:
            own = [p for p in points if p.workload.name == workload and p.deployment == deployment]
            limited = [p for p in own if p.outcome.images_s < 0.8 * p.ideal]
            last = own[-1]
            rows.append(
                [
                    workload,
                    deployment,
                    limited[0].gpus if limited else None,
                    last.gpus,
                    last.outcome.images_s,
                    last.outcome.images_s / last.ideal,
                    last.outcome.bottleneck,
                ]
            )
    return Table(
        title="Simulated: where it stops to grow",
        columns=[
            "workload",
            "deployment",
            "under 80 % from GPUs",
            "GPUs",
            "images/s",
            "of ideal",
            "bottleneck",
        ],
        rows=rows,
    )


def plots(points: Sequence[Point]) -> list[Plot]:
    """Pictures a second against GPUs, a plot for each workload."""
    made = []
    names = dict.fromkeys(point.workload.name for point in points)
    for number, workload in enumerate(names):
        own = [point for point in points if point.workload.name == workload]
        first = [point for point in own if point.deployment == DEPLOYMENTS[0]]
        gpus = [float(point.gpus) for point in first]
        series = [Series(label="ideal", x=gpus, y=[point.ideal for point in first])]
        for deployment in DEPLOYMENTS:
            rates = [point.outcome.images_s for point in own if point.deployment == deployment]
            series.append(Series(label=deployment, x=gpus, y=rates))
        made.append(
            Plot(
                name=f"scale_{number + 1}",
                title=f"Simulated: {workload}",
                kind="lines",
                x_label="GPUs",
                y_label="images/s",
                series=series,
                log_x=True,
                log_y=True,
            )
        )
    return made


def notes(
    checked: Mapping[int, Outcome], measured: Mapping[int, Sequence[Measured]], side: int
) -> list[str]:
    """What was simulated, from what."""
    ratios = ", ".join(
        f"{outcome.images_s / statistics.median(t.images_s for t in measured[number]):.2f}"
        for number, outcome in checked.items()
    )
    return [
        "The simulation is a closed network of stages, each with servers and queues; a picture "
        "takes the shorter of two queues, as Ray Serve's router does. Times are the processor time "
        "that each process took for a picture with one replica. Simulated over measured images a "
        f"second with {' and '.join(map(str, checked))} replicas on this machine: {ratios}.",
        f"*As configured*: one proxy, {INGRESSES} ingress and {POST_PROCESSES} post-process "
        "replicas. *Rooms grown*: as many of those as the arithmetic asks for and a quarter more, "
        "behind one proxy. *Rooms and proxies grown*: proxies too, behind a load balancer. Every "
        f"server has a core or a GPU of its own; {GPUS_A_NODE} GPUs a node, whose network carries "
        "10 Gbit/s between the rooms.",
        f"{GPU_SIDE}x{GPU_SIDE} pictures are taken to need {GPU_S} s of a GPU (SGLang's published "
        f"time on an H100) and, at the other stages, as much more than {side}x{side} as they have "
        "more pixels, which is the most that it can be. One proxy answers 345 tiny requests a "
        "second; with pictures it answers as many as the table tells.",
    ]
