"""Every family as a card has it start: planned; the same pictures wherever the weights lie, with
styles, in two passes, and out of sleep."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.diffusion.engine import admission
from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.load import FAMILIES, load_family
from deployments.diffusion.memory import profile_plan
from deployments.diffusion.memory.plan import MIB, NothingFits, plan_memory
from deployments.diffusion.memory.profile_plan import computed, demand_of
from deployments.diffusion.profile import RELIEFS, DiffusionProfile, Relief
from tests.polling import wait_until
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import ProfileOf
from tests.unit.diffusion.requests import image_to_image, inpaint, text_to_image
from tests.unit.diffusion.styles.test_parity import random_pairs, written

DEADLINE_S = 200
STYLE = "bold"
EVERY = RELIEFS[1:]
HELD = [*((relief,) for relief in EVERY), EVERY]
ASKED = {
    "text": partial(text_to_image, width=128),
    "picture": image_to_image,
    "inpaint": inpaint,
    "styled": partial(text_to_image, style=STYLE),
    "hires": partial(text_to_image, width=128, height=128, hires=True, num_inference_steps=5),
}
Pictures = dict[str, NDArray[np.uint8]]
Run = Callable[..., Engine]


@pytest.fixture(scope="module")
def styled(
    profiles: ProfileOf, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], DiffusionProfile]:
    """A family's profile with a style, which sleeps whenever it is idle."""

    def made(family: str) -> DiffusionProfile:
        profile = profiles[family](embedding_cache_bytes=0)
        folder = tmp_path_factory.mktemp("styles")
        written(random_pairs(profile, seed=1), folder / "bold.safetensors", alpha=4.0)
        style = {"source": str(folder), "file": "bold.safetensors"}
        told = profile.model_dump(mode="json")
        told["styles"] = {STYLE: {**style, "licence": "own", "description": "for tests"}}
        told["model"] |= {"residency": "sleep", "sleep_after_s": 0.0, "device": "auto"}
        return DiffusionProfile.model_validate(told)

    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Engines that are ready, and closed when the test ends."""
    monkeypatch.setattr(admission, "IDLE_BEAT_S", 0.02)
    engines: list[Engine] = []

    def started(profile: DiffusionProfile, reliefs: tuple[Relief, ...] | None) -> Engine:
        engine = Engine(profile, partial(load_family, profile), reliefs)
        engines.append(engine)
        wait_until(lambda: engine.state().phase in ("ready", "sleeping", "failed"), DEADLINE_S)
        assert engine.state().phase != "failed", engine.state().reason
        return engine

    yield started
    for engine in engines:
        engine.close()


def drawn(engine: Engine) -> Pictures:
    """One of every kind, each out of sleep."""
    pictures = {}
    for name, ask in ASKED.items():
        wait_until(lambda: engine.state().phase == "sleeping", DEADLINE_S)
        assert engine.state().device_bytes == 0
        params, given = ask(prompt="a big dog")
        pictures[name] = engine.submit(name, params, given).result(DEADLINE_S).pictures
    return pictures


@pytest.mark.parametrize("family", FAMILIES)
def test_wherever_the_weights_lie(
    styled: Callable[[str], DiffusionProfile], run: Run, family: str
) -> None:
    profile = styled(family)
    resident = drawn(run(profile, ()))
    assert np.abs(resident["styled"].astype(int) - drawn_plain(run(profile, ()))).mean() > 1
    for reliefs in HELD:
        engine = run(profile, reliefs)
        assert engine.state().residency == reliefs[-1]
        pictures = drawn(engine)
        engine.close()
        for name, picture in pictures.items():
            if "fp8_storage" in reliefs or "tiled_decode" in reliefs:
                assert np.abs(picture.astype(int) - resident[name]).mean() < 25, (reliefs, name)
            else:
                assert_same_picture(picture, resident[name])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_start_under_every_plan_that_a_card_may_give(
    styled: Callable[[str], DiffusionProfile],
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    family: str,
) -> None:
    profile = styled(family)
    for reliefs, budget in plans_of(profile).items():
        monkeypatch.setattr(profile_plan, "room_on", lambda _, budget=budget: budget)
        engine = run(profile, None)
        assert engine.state().residency == (reliefs[-1] if reliefs else "resident")
        engine.submit("1", *text_to_image(style=STYLE)).result(DEADLINE_S)
        engine.close()


def plans_of(profile: DiffusionProfile) -> dict[tuple[Relief, ...], int]:
    """Every residency that a budget of whole MiB gives, with the least such budget."""
    figures, demand = computed(profile), demand_of(profile)
    assert figures.kept["CUDA context"]  # planned as on a card
    with pytest.raises(NothingFits) as nothing:
        plan_memory(figures, demand, MIB)
    plans: dict[tuple[Relief, ...], int] = {}
    for budget in range(nothing.value.least, 2 * nothing.value.least, MIB):
        plans.setdefault(plan_memory(figures, demand, budget).reliefs, budget)
    assert () in plans
    return plans


def drawn_plain(engine: Engine) -> NDArray[np.int64]:
    params, given = text_to_image(prompt="a big dog")
    return engine.submit("plain", params, given).result(DEADLINE_S).pictures.astype(int)
