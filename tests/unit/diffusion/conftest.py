import gc
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families import qwen_image_edit
from deployments.diffusion.families.base import Family
from deployments.diffusion.families.load import FAMILIES, with_styles
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.weights.components import SharedComponents
from tests.polling import wait_until
from tests.tiny_checkpoint import save_tiny_checkpoint, tiny_profile
from tests.tiny_families import (
    save_tiny_flux,
    save_tiny_klein,
    save_tiny_qwen_image,
    save_tiny_qwen_image_edit,
    save_tiny_sdxl,
)

MakeEngine = Callable[..., Engine]
ProfileOf = Mapping[str, Callable[..., DiffusionProfile]]
MakeFamily = Callable[[SharedComponents, int], Family]


@pytest.fixture(scope="session", autouse=True)
def small_references() -> Iterator[None]:
    """Qwen-Image-Edit brings every reference to one size, of a million pixels: here to a few."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(qwen_image_edit, "READ_PIXELS", 96 * 96)
        patched.setattr(qwen_image_edit, "SEEN_PIXELS", 64 * 64)
        yield


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def profiles(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> ProfileOf:
    """A tiny profile of each family, by the family's name."""
    root = tmp_path_factory.mktemp("profiles")
    return {
        "z-image": partial(tiny_profile, checkpoint),
        "sdxl": partial(
            tiny_profile, save_tiny_sdxl(root / "sdxl"), family="sdxl", max_prompt_tokens=77
        ),
        "flux": partial(
            tiny_profile, save_tiny_flux(root / "flux"), family="flux", max_prompt_tokens=32
        ),
        "flux2-klein": partial(
            tiny_profile,
            save_tiny_klein(root / "klein"),
            family="flux2-klein",
            max_prompt_tokens=32,
        ),
        "qwen-image": partial(
            tiny_profile,
            save_tiny_qwen_image(root / "qwen-image"),
            family="qwen-image",
            max_prompt_tokens=64,
        ),
        "qwen-image-edit": partial(
            tiny_profile,
            save_tiny_qwen_image_edit(root / "qwen-image-edit"),
            family="qwen-image-edit",
            max_prompt_tokens=64,
        ),
    }


@pytest.fixture
def make_engine() -> Iterator[MakeEngine]:
    """Engines that are ready, and closed when the test ends."""
    engines: list[Engine] = []

    def make(profile: DiffusionProfile, family: MakeFamily | None = None) -> Engine:
        def load(reliefs: object) -> Family:
            components = SharedComponents.load(profile.model)
            make_family = family or FAMILIES[profile.model.family]
            made = make_family(components, profile.engine.max_prompt_tokens)
            return with_styles(made, profile.styles)

        engine = Engine(profile, load)
        engines.append(engine)
        wait_until(lambda: engine.state().phase in ("ready", "failed"), 60)
        assert engine.state().phase == "ready", engine.state().reason
        return engine

    yield make
    for engine in engines:
        engine.close()
    engines.clear()
    gc.collect()  # what audits count as held is not what another test left
