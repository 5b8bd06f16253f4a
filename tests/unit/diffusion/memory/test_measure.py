"""Figures from shapes against figures that are known, and from a device against what it says."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from deployments.diffusion.families.base import EncodedPrompt
from deployments.diffusion.families.load import load_family
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.memory.figures import NO_GROWTH, Basis, Figures
from deployments.diffusion.memory.gauge import ShapeGauge
from deployments.diffusion.memory.measure import take_figures
from deployments.diffusion.memory.plan import MIB, MemoryPlan, plan_memory
from deployments.diffusion.memory.profile_plan import computed, demand_of, measured, plan_for
from deployments.diffusion.profile import DiffusionProfile, Relief
from deployments.diffusion.request.request import Row
from deployments.diffusion.weights.architecture import Architecture
from deployments.diffusion.weights.components import SharedComponents
from serve.profiles import load_profile
from tests.tiny_checkpoint import tiny_profile

GIB = 2**30
META = torch.device("meta")
DOCS = Path(__file__).parents[4] / "docs" / "deployment.md"
PLANNED: dict[str, dict[str, Relief]] = {
    "z-image-turbo": {"16gb": "fp8_storage", "24gb": "tiled_decode", "80gb": "resident"},
    "sdxl": {"16gb": "resident", "24gb": "resident", "80gb": "resident"},
    "sdxl-turbo": {"16gb": "resident", "24gb": "resident", "80gb": "resident"},
    "flux-dev": {"16gb": "streamed_blocks", "24gb": "fp8_storage", "80gb": "resident"},
    "flux-schnell": {"16gb": "streamed_blocks", "24gb": "fp8_storage", "80gb": "resident"},
    "flux2-klein": {"24gb": "resident", "80gb": "resident"},
}
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def real() -> DiffusionProfile:
    return load_profile("z-image-turbo-24gb")


@cache
def figures_of(name: str) -> Figures:
    return computed(load_profile(name))


@pytest.fixture(scope="module")
def figures(real: DiffusionProfile) -> Figures:
    return figures_of(real.name)


def test_the_real_model_weighs_what_it_weighs(real: DiffusionProfile, figures: Figures) -> None:
    modules = Architecture.read(real.model).build(META).modules
    parameters = {name: sum(p.numel() for p in m.parameters()) for name, m in modules.items()}
    kept = {component.name: component.loaded for component in figures.components}

    assert parameters["transformer"] == pytest.approx(6.155e9, rel=1e-4)
    assert kept["transformer"].bytes == pytest.approx(12.31e9, rel=1e-3)
    assert kept["text_encoder"].bytes + figures.dropped == pytest.approx(8.045e9, rel=1e-3)
    assert kept["vae"].bytes == pytest.approx(0.168e9, rel=1e-2)
    whole = figures.dropped + sum(weights.bytes for weights in kept.values())
    assert whole == pytest.approx(20.52e9, rel=1e-3)
    assert figures.dropped == pytest.approx(202e6, rel=1e-2)
    assert kept["transformer"].largest_block == pytest.approx(362e6, rel=1e-3)


@pytest.mark.parametrize(
    ("phase", "count", "gib"),
    [
        ("forward", 512**2, 0.13),
        ("forward", 1024**2, 0.48),
        ("forward", 2048**2, 1.87),
        ("decode", 1024**2, 1.50),
        ("encode_picture", 1024**2, 1.25),
        ("tiled_decode", 1024**2, 0.38),
    ],
)
def test_the_working_memory_is_what_is_known(
    figures: Figures, phase: str, count: int, gib: float
) -> None:
    """Known by tracking the modules alone, with captions of 32 tokens."""
    line = getattr(figures, phase)
    if phase == "forward":
        count = count // 256 + 32

    assert line.at(count) / GIB == pytest.approx(gib, abs=0.02)


def test_other_sizes_and_batches_lie_on_the_lines(real: DiffusionProfile, figures: Figures) -> None:
    """Sizes that the lines were not drawn through, run on their own."""
    components = Architecture.read(real.model).build(META)
    gauge = ShapeGauge(components.tensors())
    transformer, vae = components.modules["transformer"], components.modules["vae"]

    def on_meta(*shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=torch.bfloat16, device="meta")

    def forward(sides: Sequence[int]) -> object:
        latents = [on_meta(16, 1, side // 8, side // 8) for side in sides]
        captions = [on_meta(512, 2560) for _ in sides]
        return transformer(latents, torch.empty(len(sides), device="meta"), captions)

    for sides in ([2048], [1024] * 4, [512] * 8, [512, 1024, 1536]):
        _, peak = gauge.run(partial(forward, sides))
        padded = len(sides) * (max(sides) ** 2 // 256 + 512)
        assert figures.forward.at(padded) * 1.05 >= peak
        if len(set(sides)) == 1:
            assert figures.forward.at(padded) == pytest.approx(peak, rel=0.05)
    for side in (768, 1536, 2048):
        _, peak = gauge.run(partial(vae.decode, on_meta(1, 16, side // 8, side // 8)))
        assert figures.decode.at(side**2) == pytest.approx(peak, rel=0.02)


def test_storages_count_from_their_making_to_their_end() -> None:
    weight = torch.empty(256, 256, device="meta")
    gauge = ShapeGauge([weight])
    tensor = 256 * 256 * 4

    def work() -> torch.Tensor:
        one = weight @ weight.T  # a view of the weight is no new storage
        two = one + 1
        del one
        return two.relu_() @ two

    assert gauge.run(work)[1] == 2 * tensor
    assert gauge.run(lambda: [weight * 2 for _ in range(3)])[1] == 3 * tensor
    assert gauge.run(lambda: sum((weight * 2).mean() for _ in range(3)))[1] < 1.1 * tensor


def test_attention_writes_no_scores() -> None:
    heads = torch.empty(1, 8, 4096, 64, device="meta")

    attend = torch.nn.functional.scaled_dot_product_attention
    _, peak = ShapeGauge([heads]).run(lambda: attend(heads, heads, heads))

    assert peak == heads.nbytes


def test_what_leaves_the_device_comes_back_as_values() -> None:
    on_device = torch.ones(3, device="meta")

    read, _ = ShapeGauge([on_device]).run(lambda: (on_device * 2).cpu().numpy())

    assert read.shape == (3,)


class Told(ZImage):
    """Tells a gauge what it has just run."""

    last: tuple[str, int] = ("", 0)

    def encode(self, prompt: str, references: object = ()) -> EncodedPrompt:
        encoding = super().encode(prompt)
        self.last = ("encode", len(encoding.embedding.tokens))
        return encoding

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        self.last = ("forward", sum(row.tokens for row in rows))
        return super().velocity(rows)

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
        picture = super().decode(latents, tiled=tiled)
        phase = "tiled_decode" if tiled else "decode"
        self.last = (phase, picture.shape[0] * picture.shape[1])
        return picture

    def latents_of(self, picture: NDArray[np.uint8], *, tiled: bool = False) -> torch.Tensor:
        phase = "tiled_encode_picture" if tiled else "encode_picture"
        self.last = (phase, picture.shape[0] * picture.shape[1])
        return super().latents_of(picture, tiled=tiled)


EACH = {
    "encode": 7,
    "forward": 5000,
    "decode": 300,
    "tiled_decode": 30,
    "encode_picture": 200,
    "tiled_encode_picture": 20,
}


class Device:
    """A gauge that finds a known number of bytes a token or pixel, on top of 1 MiB."""

    basis: Basis = "measured"

    def __init__(self, family: Told) -> None:
        self._family = family

    def run(self, work: Callable[[], Result]) -> tuple[Result, int]:
        with torch.inference_mode():
            result = work()
        phase, count = self._family.last
        return result, MIB + EACH[phase] * count


def test_measured_figures_are_what_the_device_tells(checkpoint: Path) -> None:
    profile = tiny_profile(checkpoint, max_prompt_tokens=128)
    sizes = profile.sizes.model_copy(update={"default": "192x192"})
    profile = profile.model_copy(update={"sizes": sizes})
    family = Told(SharedComponents.load(profile.model), profile.engine.max_prompt_tokens)

    figures = take_figures(profile, family, Device(family))

    assert figures.basis == "measured"
    for phase in ("forward", "decode", "tiled_decode", "encode_picture", "tiled_encode_picture"):
        assert getattr(figures, phase).at(10**6) == MIB + EACH[phase] * 10**6
    assert figures.encode == MIB + EACH["encode"] * profile.engine.max_prompt_tokens
    assert not family.components.modules["vae"].use_tiling
    made = plan_memory(figures, demand_of(profile), GIB)
    assert made.basis == "measured"


def test_without_a_cuda_device_a_loaded_model_is_computed_from_its_own_configs(
    checkpoint: Path,
) -> None:
    profile = tiny_profile(checkpoint, max_prompt_tokens=128)
    family = load_family(profile)

    assert measured(profile, family) == computed(profile)
    assert plan_for(profile, GIB, family) == plan_for(profile, GIB)


def test_the_embedded_model_weighs_as_its_files_say() -> None:
    profile = load_profile("embedded")
    loaded = load_family(profile).components

    figures = computed(profile)

    weights = sum(c.loaded.bytes for c in figures.components)
    assert weights + figures.kept["styles"] == loaded.held_bytes
    assert plan_for(profile, GIB).complete


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        (
            "sdxl",
            {"unet": 2.5675, "text_encoder": 0.1231, "text_encoder_2": 0.6947, "vae": 0.0837},
        ),
        (
            "flux-dev",
            {"transformer": 11.901, "text_encoder": 0.1231, "text_encoder_2": 4.762, "vae": 0.0838},
        ),
        (  # of whose text encoder 27 layers of 36 are read
            "flux2-klein",
            {"transformer": 3.8755, "text_encoder": 3.1141, "vae": 0.084},
        ),
    ],
)
def test_the_other_families_weigh_what_their_files_do(
    model: str, billions: dict[str, float]
) -> None:
    weights = {c.name: c.loaded.bytes for c in figures_of(f"{model}-24gb").components}

    assert weights == {
        name: pytest.approx(2e9 * count, rel=1e-3) for name, count in billions.items()
    }


@pytest.mark.parametrize(
    ("model", "card"), [(model, card) for model, cards in PLANNED.items() for card in cards]
)
def test_each_cards_profile_asks_for_what_its_card_can_do(model: str, card: str) -> None:
    """The figures of one card do for all: they differ in what is kept for larger queues."""
    profile = load_profile(f"{model}-{card}")
    budget = profile.model.memory_budget
    assert budget is not None

    made = plan_memory(figures_of(f"{model}-24gb"), demand_of(profile), budget)

    assert made.complete
    assert made.residency == PLANNED[model][card]
    assert made.token_budget >= profile.engine.token_budget
    assert made.max_pixels >= profile.sizes.max_pixels
    assert made.n >= profile.max_n
    assert row_of(profile, made) in DOCS.read_text(encoding="utf-8")


def row_of(profile: DiffusionProfile, made: MemoryPlan) -> str:
    """How docs/deployment.md begins to tell a profile's plan."""
    reliefs = " + ".join(f"`{relief}`" for relief in made.reliefs) or "`resident`"
    host = f"{sum(made.host.values()) / GIB:.1f}"
    return f"| `{profile.name}` | {made.budget / GIB:g} | {reliefs} | {host} |"


def test_a_plan_counts_what_a_picture_may_bring() -> None:
    """An edit with a mask reads its own picture too, and four references of 4,096 tokens."""
    figures = figures_of("flux2-klein-24gb")
    pixels = 1024 * 1024

    assert figures.brought_tokens.at(pixels) == 5 * 4096
    alone = replace(figures, brought_tokens=NO_GROWTH)
    demand = demand_of(load_profile("flux2-klein-24gb"))
    budget = plan_memory(alone, demand, 12 * GIB).token_budget
    assert plan_memory(figures, demand, 12 * GIB).token_budget > budget
    assert figures_of("z-image-turbo-24gb").brought_tokens.at(pixels) == 0
