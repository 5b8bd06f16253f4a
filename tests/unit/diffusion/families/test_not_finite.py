"""Pictures that are no numbers: refused and counted, never sent black; neighbours are unharmed."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from deployments.diffusion.families.load import FAMILIES, load_family
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request.params import GenerationParams, Terms
from deployments.diffusion.request.request import Row, Start
from deployments.diffusion.request.work import Event, Preview
from deployments.errors import GenerationFailed
from deployments.handover import Given
from tests.tiny_checkpoint import save_tiny_checkpoint, tiny_profile
from tests.tiny_families import save_tiny_flux, save_tiny_sdxl
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import image_to_image, inpaint, text_to_image

DEADLINE_S = 200
BAD_SEED = 13
SAVE = {"z-image": save_tiny_checkpoint, "sdxl": save_tiny_sdxl, "flux": save_tiny_flux}
PROMPT_TOKENS = {"z-image": 64, "sdxl": 77, "flux": 32}


@pytest.fixture(scope="module", params=SAVE)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SAVE[family](tmp_path_factory.mktemp(family) / "model")


def profile_of(family: str, folder: Path, dtype: str = "float32") -> DiffusionProfile:
    return tiny_profile(folder, dtype, family, max_prompt_tokens=PROMPT_TOKENS[family])


def poisoned(family: str, gate: threading.Event) -> type:
    """The family, whose pictures of one seed begin as no numbers; it waits for the gate."""
    base: Any = FAMILIES[family]

    class Poisoned(base):
        def start(
            self, params: GenerationParams, given: Given | None, *, tiled: bool = False
        ) -> list[Start]:
            starts: list[Start] = super().start(params, given, tiled=tiled)
            for i, start in enumerate(starts):
                if params.seed + i == BAD_SEED:
                    start.latents.fill_(torch.nan)
            return starts

        def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
            if rows[0].request.id != "warm-up":
                assert gate.wait(DEADLINE_S)
            velocities: list[torch.Tensor] = super().velocity(rows)
            return velocities

    return Poisoned


def test_only_the_request_concerned_fails(
    family: str, folder: Path, make_engine: MakeEngine
) -> None:
    """In the forwards that it shares with others, of every kind; one bad picture of n is enough."""
    gate = threading.Event()
    engine = make_engine(profile_of(family, folder), poisoned(family, gate))
    bad = {
        "text": text_to_image(seed=BAD_SEED),
        "one of three": text_to_image(seed=BAD_SEED - 1, n=3),
        "image": image_to_image(seed=BAD_SEED, num_inference_steps=8),
        "large": text_to_image(seed=BAD_SEED, width=128, height=128, hires=True),
    }
    good = {"text": text_to_image(seed=1), "inpaint": inpaint(num_inference_steps=8, seed=2)}
    failing = [engine.submit(f"bad {name}", *one) for name, one in bad.items()]
    served = {name: engine.submit(name, *one) for name, one in good.items()}
    gate.set()
    for future in failing:
        with pytest.raises(GenerationFailed, match="another seed") as failure:
            future.result(DEADLINE_S)
        assert failure.value.code == "not_finite"
    together = {name: future.result(DEADLINE_S).pictures for name, future in served.items()}
    assert engine.state().shared_forwards > 0
    assert engine.state().failures == {"generation_failed": 0, "not_finite": len(bad)}
    for name, one in good.items():
        alone = engine.submit("alone", *one).result(DEADLINE_S).pictures
        assert_same_picture(together[name], alone)


def test_a_preview_is_not_sent_black(family: str, folder: Path, make_engine: MakeEngine) -> None:
    gate = threading.Event()
    gate.set()
    engine = make_engine(profile_of(family, folder), poisoned(family, gate))
    events: list[Event] = []
    terms = Terms(previews=2)
    future = engine.submit("1", *text_to_image(seed=BAD_SEED), terms, events.append)
    with pytest.raises(GenerationFailed):
        future.result(DEADLINE_S)
    assert not [event for event in events if isinstance(event, Preview)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_decoder_that_overflows_is_noticed(family: str, folder: Path, dtype: str) -> None:
    """Though the latents are finite."""
    loaded = load_family(profile_of(family, folder, dtype))
    channels = loaded.components.config("vae").latent_channels
    latents = torch.full((1, channels, 8, 8), 1e37)
    for tiled in (False, True):
        with torch.inference_mode(), pytest.raises(GenerationFailed) as failure:
            loaded.decode(latents, tiled=tiled)
        assert failure.value.code == "not_finite"
