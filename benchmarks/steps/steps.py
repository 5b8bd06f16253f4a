"""How a step's time grows with tokens and rows, against the arithmetic of the model.

A transformer of Z-Image's class with random weights takes steps at five sizes, up to eight rows in
each. The constants of the arithmetic's model are fitted on every other point, judged on the rest.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.harness import Figure, Plot, Report, Say, Series, Table, engines, turns
from benchmarks.steps import arithmetic
from benchmarks.steps.arithmetic import Flops, StepTime
from deployments.diffusion.engine import EmbeddingCache, Preparation
from deployments.diffusion.families import Family, family_of, plan_passes
from deployments.diffusion.memory import Recovery, Residency, tokens
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import GenerationParams, Request, Row, Terms
from deployments.diffusion.weights import Architecture

THREADS = 2
SIDES = (256, 384, 512, 768, 1024)
ROWS = (1, 2, 3, 4, 8)
MOST_TOKENS = 16_000
ROUNDS = 3  # of which the first pays what a shape pays once: the median leaves it out
BOUND = 0.30
PROMPT = "a a a a"

ARCHITECTURE: dict[str, dict[str, Any]] = {
    "transformer": {
        "library": "diffusers",
        "class": "ZImageTransformer2DModel",
        "config": {
            "dim": 384,
            "n_heads": 6,
            "n_kv_heads": 6,
            "n_layers": 4,
            "n_refiner_layers": 1,
            "cap_feat_dim": 64,
            "axes_dims": [16, 24, 24],
            "axes_lens": [256, 128, 128],
        },
    },
    "text_encoder": {
        "library": "transformers",
        "class": "Qwen3Model",
        "config": {
            "vocab_size": 64,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,
        },
    },
    "vae": {
        "library": "diffusers",
        "class": "AutoencoderKL",
        "config": {
            "down_block_types": ["DownEncoderBlock2D"] * 4,
            "up_block_types": ["UpDecoderBlock2D"] * 4,
            "block_out_channels": [8, 8, 8, 8],
            "latent_channels": 16,
            "norm_num_groups": 4,
            "use_quant_conv": False,
            "use_post_quant_conv": False,
        },
    },
    "scheduler": {"class": "FlowMatchEulerDiscreteScheduler", "config": {"shift": 3.0}},
}


@dataclass(frozen=True, slots=True)
class Point:
    """Steps of `rows` pictures of side x side pixels."""

    side: int
    rows: int
    tokens: int
    flops: Flops
    seconds: float

    @property
    def name(self) -> str:
        """As the tables show it."""
        return f"{self.rows} x {self.side}x{self.side}"


def measure(quick: bool, say: Say) -> Report:
    """The report; `quick` takes one round of small steps."""
    torch.set_num_threads(THREADS)
    profile = random_profile()
    components = Architecture(ARCHITECTURE, torch.float32).build(torch.device("cpu"))
    family = family_of(profile, components)
    sides, rounds = (SIDES[:2], 1) if quick else (SIDES, ROUNDS)
    with torch.inference_mode():
        points = _points(profile, family, sides, rounds, say)
    parameters = sum(p.numel() for p in components.modules["transformer"].parameters())
    return report(points, parameters)


def _points(
    profile: DiffusionProfile,
    family: Family,
    sides: Sequence[int],
    rounds: int,
    say: Say,
) -> list[Point]:
    """Ordered by size, then by rows."""
    every = [rows(profile, family, side, count) for side in sides for count in ROWS]
    batches = [batch for batch in every if tokens(batch) <= MOST_TOKENS]
    ways = {str(i): _step(family, batch) for i, batch in enumerate(batches)}
    times = turns.in_turn(
        ways,
        rounds,
        warm_up=0,
        progress=lambda done, of: say(f"steps of every size: round {done} of {of}"),
    )
    transformer = family.components.modules["transformer"]
    return [
        Point(
            batch[0].request.params.width,
            len(batch),
            tokens(batch),
            _flops(transformer, batch),
            statistics.median(times[str(i)]),
        )
        for i, batch in enumerate(batches)
    ]


def rows(profile: DiffusionProfile, family: Family, side: int, count: int) -> list[Row]:
    """Pictures before their first step, made as the engine makes them."""
    params = GenerationParams(PROMPT, side, side, 1, seed=0, n=count)
    passes = plan_passes(params, profile, family)
    recovery = Recovery(Residency(family), profile.sizes)
    preparation = Preparation(family, EmbeddingCache(0), recovery)
    return preparation.rows(Request("steps", params, None, Terms(), passes))


def _flops(transformer: Any, batch: list[Row]) -> Flops:
    image, caption = batch[0].lengths
    return arithmetic.of_forward(transformer, image, caption, len(batch))


def _step(family: Family, batch: list[Row]) -> Callable[[], object]:
    return lambda: family.velocity(batch)


def random_profile() -> DiffusionProfile:
    """Of the random model: any size up to 1024 pixels a side."""
    fields = engines.embedded().model_dump(mode="json", exclude={"hires", "styles"})
    sizes = {
        "multiple": 16,
        "min_side": min(SIDES),
        "max_side": max(SIDES),
        "max_pixels": max(SIDES) ** 2,
        "default": f"{SIDES[0]}x{SIDES[0]}",
        "recommended": [f"{SIDES[0]}x{SIDES[0]}"],
    }
    return DiffusionProfile.model_validate({**fields, "name": "random", "sizes": sizes})


def report(points: Sequence[Point], parameters: int) -> Report:
    """Every other point, from the first on, is fitted; the others are judged."""
    fitted, judged = points[::2], points[1::2]
    model = StepTime.fit([p.flops for p in fitted], [p.seconds for p in fitted])
    errors = [p.seconds / model.seconds(p.flops) - 1 for p in judged]
    token_s = statistics.median(p.seconds / p.tokens for p in fitted)
    by_tokens = [p.seconds / (token_s * p.tokens) - 1 for p in judged]
    return Report(
        figures=[
            Figure(
                name="Largest deviation of a step's time from its arithmetic",
                number=7,
                value=max(map(abs, errors)),
                low=min(map(abs, errors)),
                high=max(map(abs, errors)),
                spread="range",
                bound=BOUND,
                baseline="constants fitted on the other half of the points",
            )
        ],
        tables=[
            Table(
                title="Steps: measured and computed",
                columns=["Rows", "Tokens", "Half", "GFLOP", "of attention, %", "ms", "Computed"],
                rows=[
                    [
                        p.name,
                        p.tokens,
                        "judged" if i % 2 else "fitted",
                        (p.flops.matrices + p.flops.attention) / 1e9,
                        100 * p.flops.attention / (p.flops.matrices + p.flops.attention),
                        p.seconds * 1e3,
                        model.seconds(p.flops) * 1e3,
                    ]
                    for i, p in enumerate(points)
                ],
            )
        ],
        plots=[
            Plot(
                name="steps",
                title="A step, measured against its arithmetic",
                kind="points",
                x_label="computed, ms",
                y_label="measured, ms",
                series=[
                    Series(
                        label=label,
                        x=[model.seconds(p.flops) * 1e3 for p in half],
                        y=[p.seconds * 1e3 for p in half],
                    )
                    for label, half in (("fitted", fitted), ("judged", judged))
                ],
                log_x=True,
                log_y=True,
                diagonal=True,
            )
        ],
        notes=[
            f"A transformer of Z-Image's class, {parameters / 1e6:.1f} M random parameters in "
            f"float32, {THREADS} threads; sizes {SIDES[0]} to {SIDES[-1]}, 1 to {max(ROWS)} rows, "
            f"at most {MOST_TOKENS:,} tokens. Time = a + b x FLOPs of matrices + c x FLOPs of "
            "attention, the relative error squared least on every other point; fixed before "
            f"measuring. Here a = {model.fixed * 1e3:.2f} ms, "
            f"1/b = {1e-9 / model.per_matrix_flop:.0f} GFLOP/s, "
            f"1/c = {1e-9 / model.per_attention_flop:.0f} GFLOP/s.",
            "Time in proportion to the tokens alone would "
            f"be up to {100 * max(map(abs, by_tokens)):.0f} % off on the judged half.",
        ],
        data={
            "points": [
                {"side": p.side, "rows": p.rows, "tokens": p.tokens, "seconds": p.seconds}
                for p in points
            ],
            "errors": errors,
            "errors_by_tokens": by_tokens,
        },
    )
