"""Where a picture's time goes by operation, and what single measures are worth.

Everything on the embedded model at its native size, in this process. A measure is timed in turn
with the same work done without it.
"""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.baselines import pipelines
from benchmarks.harness import Report, Say, Table, engines, turns
from benchmarks.steps.steps import rows
from deployments.diffusion.families import Family, load_family
from deployments.diffusion.profile import EMBEDDED_MODEL, DiffusionProfile
from deployments.diffusion.request import Embedding, Row

THREADS = 2
SIDE, STEPS = 256, 8  # the model's native size
BATCH = 4
SHORT, LONG = "a red car on a white background", "a red car on a white background " * 5
GROUPS = {
    "matrices": ("aten::mm", "aten::addmm", "aten::bmm"),
    "attention": (
        "aten::_scaled_dot_product_flash_attention_for_cpu",
        "aten::_scaled_dot_product_attention_math",
    ),
    "convolutions": ("aten::mkldnn_convolution", "aten::_slow_conv2d_forward"),
}
OTHERS, PYTHON = "elementwise, norms, copies", "Python and dispatch"

Way = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is done, and the same work without it."""

    name: str
    done: Way
    undone: Way


def measure(quick: bool, say: Say) -> Report:
    """The report; `quick` takes one round."""
    torch.set_num_threads(THREADS)
    rounds = 1 if quick else 15
    settings = engines.embedded(threads=THREADS)
    family = load_family(settings)
    stock = pipelines.load("t2i", EMBEDDED_MODEL, torch.float32)
    with torch.inference_mode():
        (row,) = rows(settings, family, SIDE, 1)
        stages = {
            "encode": (lambda: family.encode(SHORT), 1),
            "steps": (lambda: family.velocity([row]), STEPS),
            "decode": (lambda: family.decode(row.latents), 1),
        }
        say("operations by stage")
        shares = {name: _operations(work, rounds) for name, (work, _) in stages.items()}
        alone = turns.in_turn({name: work for name, (work, _) in stages.items()}, rounds, 3)
        times = {name: statistics.median(alone[name]) * n for name, (_, n) in stages.items()}
        gains = []
        for one in _measures(settings, family, stock, row):
            say(one.name)
            taken = turns.in_turn({"done": one.done, "undone": one.undone}, rounds, 2)
            spread = turns.ratio(taken["done"], taken["undone"])
            gains.append((one.name, statistics.median(taken["undone"]), spread))
    return Report(
        tables=[_stages(times, shares), _gains(gains)],
        notes=[
            f"The embedded model, {SIDE}x{SIDE}, {STEPS} steps, float32, {THREADS} threads. "
            "Operations are torch.profiler's self times; what they leave of the wall time is "
            "Python's, dispatch and the profiler itself.",
        ],
        data={"stages_s": times, "shares": shares},
    )


def _measures(settings: DiffusionProfile, family: Family, stock: Any, row: Row) -> list[Measure]:
    short, long = (family.encode(prompt).embedding for prompt in (SHORT, LONG))
    batch = rows(settings, family, SIDE, BATCH)
    equal = [_worded(one, long) for one in batch]
    mixed = [_worded(one, short if i % 2 else long) for i, one in enumerate(batch)]
    latents = row.latents
    unscaled = latents / stock.vae.config.scaling_factor + stock.vae.config.shift_factor

    def one_by_one() -> None:
        for one in batch:
            family.velocity([one])

    return [
        Measure(
            "encode: a prompt padded to its real length, not to 512",
            lambda: family.encode(SHORT),
            lambda: stock.encode_prompt([SHORT], do_classifier_free_guidance=False),
        ),
        Measure(
            f"step: {BATCH} rows of equal lengths, no mask, not of mixed ones as long",
            lambda: family.velocity(equal),
            lambda: family.velocity(mixed),
        ),
        Measure(
            f"step: {BATCH} rows in one forward, not in {BATCH}",
            lambda: family.velocity(batch),
            one_by_one,
        ),
        Measure(
            f"step: {THREADS} threads as the profile says, not 1 as Ray sets",
            lambda: family.velocity([row]),
            lambda: _with_one_thread(lambda: family.velocity([row])),
        ),
        Measure(
            "decode: channels last, not as stored",
            lambda: family.decode(latents),
            lambda: stock.vae.decode(unscaled, return_dict=False),
        ),
        Measure(
            f"decode: {THREADS} threads, not 1",
            lambda: family.decode(latents),
            lambda: _with_one_thread(lambda: family.decode(latents)),
        ),
    ]


def _worded(row: Row, embedding: Embedding) -> Row:
    return replace(row, embedding=embedding)


def _with_one_thread(work: Way) -> None:
    torch.set_num_threads(1)
    try:
        work()
    finally:
        torch.set_num_threads(THREADS)


def _operations(work: Way, times: int) -> dict[str, float]:
    """Shares of the wall time by kind of operation."""
    work()
    spent = dict.fromkeys((*GROUPS, OTHERS), 0.0)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        wall = turns.timed(lambda: [work() for _ in range(times)])
    for event in seen.key_averages():
        group = next((name for name, keys in GROUPS.items() if event.key in keys), OTHERS)
        spent[group] += event.self_cpu_time_total / 1e6 / wall
    return {**spent, PYTHON: max(0.0, 1 - sum(spent.values()))}


def _stages(times: Mapping[str, float], shares: Mapping[str, Mapping[str, float]]) -> Table:
    groups = (*GROUPS, OTHERS, PYTHON)
    whole = sum(times.values())
    return Table(
        title="A picture's time by stage and operation",
        columns=["Stage", "ms", "of the picture, %", *(f"{group}, %" for group in groups)],
        rows=[
            [name, 1e3 * s, 100 * s / whole, *(100 * shares[name][group] for group in groups)]
            for name, s in times.items()
        ],
    )


def _gains(gains: list[tuple[str, float, turns.Spread]]) -> Table:
    return Table(
        title="What measures are worth: time with each over time without",
        columns=["Measure", "Without, ms", "Ratio", "95 % interval"],
        rows=[
            [name, 1e3 * undone, spread.value, f"{spread.low:.3f} to {spread.high:.3f}"]
            for name, undone, spread in gains
        ],
    )
