"""Styles added and removed while the engine runs: of every family, wherever the weights lie."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from deployments.diffusion.engine import admission
from deployments.diffusion.engine.callers import Callers
from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.load import FAMILIES, load_family
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.memory.profile_plan import computed
from deployments.diffusion.profile import DiffusionProfile, Relief
from deployments.diffusion.request.identity import request_key
from deployments.diffusion.request.params import AddedStyle, GenerationParams
from deployments.diffusion.request.request import Row
from deployments.diffusion.styles.added import StyleFolder, StyleRecord
from deployments.diffusion.weights.components import SharedComponents
from deployments.errors import InvalidValue, NotFound, ReplicaDown, TooLarge
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import ProfileOf
from tests.unit.diffusion.requests import text_to_image
from tests.unit.diffusion.styles.adding import DEADLINE_S, ROOM, add, engine_of, with_room
from tests.unit.diffusion.styles.lora_files import random_lora, write_lora
from tests.unit.diffusion.styles.test_parity import random_pairs, styled, written

MOVED: tuple[Relief, ...] = ("text_encoder_on_host", "streamed_blocks")
Make = Callable[..., Engine]


class Gated(ZImage):
    """Steps only as often as the test permits; open while it warms up."""

    permits: ClassVar[threading.Semaphore]

    def velocity(self, rows: Sequence[Row]) -> list[Tensor]:
        if rows[0].request.id != "warm-up":
            assert self.permits.acquire(timeout=DEADLINE_S)
        return super().velocity(rows)


@pytest.fixture
def folder(tmp_path: Path) -> StyleFolder:
    return StyleFolder(tmp_path / "added")


@pytest.fixture
def make(folder: StyleFolder) -> Iterator[Make]:
    """Engines that follow the folder, closed when the test ends."""
    engines: list[Engine] = []

    def made(profile: DiffusionProfile, reliefs: tuple[Relief, ...] = ()) -> Engine:
        engines.append(engine_of(with_room(profile), folder, reliefs))
        return engines[-1]

    yield made
    for engine in engines:
        engine.close()


@pytest.fixture
def loras(checkpoint: Path, tmp_path: Path) -> dict[str, Path]:
    """Two files for the tiny Z-Image."""
    return {
        name: write_lora(tmp_path / f"{name}.safetensors", random_lora(checkpoint, seed))
        for seed, name in enumerate(("one", "two"))
    }


def asking(style: AddedStyle, **fields: object) -> GenerationParams:
    return text_to_image(style=style.name, added_styles=(style,), **fields)[0]


def draw(engine: Engine, params: GenerationParams) -> np.ndarray:
    return engine.submit("one", params).result(DEADLINE_S).pictures[0]


@pytest.mark.parametrize("reliefs", [(), MOVED, ("fp8_storage",)], ids=["", "moved", "fp8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_added_style_is_the_profiles_own_wherever_the_weights_lie(
    profiles: ProfileOf,
    make: Make,
    folder: StyleFolder,
    tmp_path: Path,
    family: str,
    reliefs: tuple[Relief, ...],
) -> None:
    profile = profiles[family]()
    path = written(random_pairs(profile, seed=1), tmp_path / "a.safetensors", alpha=4.0)
    engine = make(styled(profile, {"own": (path, 0.7)}), reliefs)
    plain = draw(engine, text_to_image()[0])
    before = engine.state()
    style = add(engine, folder, "late", path, weight=0.7)
    state = engine.state()
    taken = state.held_bytes - before.held_bytes
    assert state.added_styles == {"late": taken}
    assert state.added_styles_bytes == state.device_bytes - before.device_bytes == taken > 0
    late = draw(engine, asking(style))
    assert_same_picture(late, draw(engine, text_to_image(style="own")[0]))
    assert np.abs(late.astype(int) - plain).mean() > 2
    folder.remove("late")
    engine.follow_styles().result(DEADLINE_S)
    state = engine.state()
    assert (state.held_bytes, state.device_bytes) == (before.held_bytes, before.device_bytes)
    assert state.added_styles == {}
    with pytest.raises(ReplicaDown, match="removed or replaced"):
        engine.submit("two", asking(style))
    assert np.array_equal(plain, draw(engine, text_to_image()[0]))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sleeping_model_wakes_and_sleeps_again(
    profiles: ProfileOf,
    folder: StyleFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    family: str,
) -> None:
    monkeypatch.setattr(admission, "IDLE_BEAT_S", 0.02)
    profile = profiles[family]()
    path = written(random_pairs(profile, seed=1), tmp_path / "a.safetensors", alpha=4.0)
    model = profile.model.model_copy(update={"residency": "sleep", "sleep_after_s": 0.0})
    sleepy = with_room(styled(profile, {"own": (path, 1.0)}).model_copy(update={"model": model}))
    engine = Engine(sleepy, lambda told: load_family(sleepy, told), (), folder)
    try:
        wait_until(lambda: engine.state().phase == "sleeping", DEADLINE_S)
        style = add(engine, folder, "late", path)
        wait_until(lambda: engine.state().phase == "sleeping", DEADLINE_S)
        assert engine.state().device_bytes == 0
        late = draw(engine, asking(style))
        assert_same_picture(late, draw(engine, text_to_image(style="own")[0]))
        wait_until(lambda: engine.state().phase == "sleeping", DEADLINE_S)
        folder.remove("late")
        engine.follow_styles().result(DEADLINE_S)
        assert engine.state().added_styles_bytes == 0
    finally:
        engine.close()


def test_what_is_on_its_way_is_drawn_with_a_style_that_is_removed(
    checkpoint: Path, folder: StyleFolder, loras: dict[str, Path]
) -> None:
    Gated.permits = threading.Semaphore(0)
    profile = with_room(tiny_profile(checkpoint))

    def load(_: object) -> ZImage:
        return Gated(SharedComponents.load(profile.model), profile.engine.max_prompt_tokens)

    engine = Engine(profile, load, (), folder)
    try:
        engine.wait_until_ready(DEADLINE_S)
        style = add(engine, folder, "late", loras["one"])
        Gated.permits.release(4)
        before = draw(engine, asking(style))
        drawing = engine.submit("late", asking(style))
        wait_until(lambda: engine.state().running == 1, DEADLINE_S)
        folder.remove("late")
        following = engine.follow_styles()
        Gated.permits.release(2)  # a change is made between two steps
        following.result(DEADLINE_S)
        assert engine.state().added_styles == {}
        assert engine.state().added_styles_bytes > 0
        other = add_while_gated(engine, folder, loras["two"])
        assert not drawing.done()
        Gated.permits.release(100)
        assert_same_picture(drawing.result(DEADLINE_S).pictures[0], before)
        held = engine.state().added_styles
        assert held.keys() == {"late"}
        wait_until(lambda: engine.state().added_styles_bytes == held["late"], DEADLINE_S)
        assert np.abs(draw(engine, asking(other)).astype(int) - before).mean() > 3
    finally:
        Gated.permits.release(10_000)
        engine.close()


def add_while_gated(engine: Engine, folder: StyleFolder, path: Path) -> AddedStyle:
    """The name is free again, though rows still wear what had it."""
    Gated.permits.release(1)
    return add(engine, folder, "late", path)


def test_another_style_under_the_same_name_shares_nothing_with_the_first(
    profiles: ProfileOf, make: Make, folder: StyleFolder, tmp_path: Path
) -> None:
    """Its pictures, the prompts that it reads, the keys of its requests."""
    profile = profiles["sdxl"]()
    files = [
        written(random_pairs(profile, seed), tmp_path / f"{seed}.safetensors", alpha=4.0)
        for seed in (1, 2)
    ]
    engine = make(styled(profile, {"a": (files[0], 1.0), "b": (files[1], 1.0)}))
    first = add(engine, folder, "late", files[0])
    assert_same_picture(draw(engine, asking(first)), draw(engine, text_to_image(style="a")[0]))
    folder.remove("late")
    second = add(engine, folder, "late", files[1])
    assert_same_picture(draw(engine, asking(second)), draw(engine, text_to_image(style="b")[0]))
    changed = replace(second, weight=0.5)
    keys = {request_key("us", asking(one), None) for one in (first, second, changed)}
    assert len(keys) == 3


def test_a_restart_and_a_replica_that_was_not_told_hold_the_same(
    checkpoint: Path, make: Make, folder: StyleFolder, loras: dict[str, Path]
) -> None:
    engine, other = make(tiny_profile(checkpoint)), make(tiny_profile(checkpoint))
    one = add(engine, folder, "one", loras["one"])
    two = add(engine, folder, "two", loras["two"])
    assert not other.holds(asking(one))

    async def both() -> list[np.ndarray]:
        callers = Callers(other)
        drawn = [callers.draw(style.name, asking(style)) for style in (one, two, one)]
        return [one.pictures[0] for one in await asyncio.gather(*drawn)]

    pictures = asyncio.run(both())
    restarted = make(tiny_profile(checkpoint))
    assert restarted.state().added_styles == engine.state().added_styles
    for style, picture in zip((one, two), pictures, strict=False):
        assert_same_picture(picture, draw(engine, asking(style)))
        assert_same_picture(picture, draw(restarted, asking(style)))


def test_all_of_them_stay_within_their_bound(
    checkpoint: Path, folder: StyleFolder, loras: dict[str, Path], tmp_path: Path
) -> None:
    size = sum(4 * (a.numel() + b.numel()) for a, b in random_lora(checkpoint, 0).values())
    profile = with_room(tiny_profile(checkpoint), size)
    engine = engine_of(profile, folder)
    try:
        first = add(engine, folder, "one", loras["one"])
        again = add(engine, folder, "same", loras["one"])  # the same bytes, held once
        assert first.digest == again.digest
        with pytest.raises(TooLarge, match=f"{size:,} bytes of matrices, beside the {size:,}"):
            add(engine, folder, "two", loras["two"])
        large = tmp_path / "large.safetensors"
        large.write_bytes(bytes(2 * size + 1))
        with pytest.raises(TooLarge, match="more than could be held"):
            engine.weigh_style(large, None).result(DEADLINE_S)
        assert list(folder.path.glob(".half*")) == []
        with loras["two"].open("rb") as file, folder.incoming(file, None, ROOM) as (half, digest):
            record = StyleRecord(digest=digest, nbytes=size, licence="own", description="test")
            folder.add("two", record, half, ROOM)  # by a profile with more room
        engine.follow_styles().result(DEADLINE_S)
        assert engine.state().added_styles_bytes == size
        with pytest.raises(ReplicaDown, match="found no room"):
            engine.submit("two", asking(record.named("two")))
        for name in ("one", "same"):
            folder.remove(name)
        engine.follow_styles().result(DEADLINE_S)
        assert engine.state().added_styles == {"two": size}
        with pytest.raises(NotFound, match="those that were are two"):
            folder.remove("one")
    finally:
        engine.close()


def test_of_those_who_add_at_a_time_one_has_the_name(
    folder: StyleFolder, loras: dict[str, Path]
) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def one(seed: int) -> None:
        with (
            loras["one"].open("rb") as file,
            folder.incoming(file, None, ROOM) as (half, digest),
        ):
            record = StyleRecord(digest=digest, nbytes=9, licence=str(seed), description="test")
            start.wait(DEADLINE_S)
            try:
                folder.add("late", record, half, ROOM)
                outcomes.append("added")
            except InvalidValue as error:
                outcomes.append(error.code)

    threads = [threading.Thread(target=partial(one, seed)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert sorted(outcomes) == ["added", *["style_exists"] * 7]
    assert list(folder.records()) == ["late"]


def test_a_plan_counts_the_room_for_them(checkpoint: Path) -> None:
    bare = tiny_profile(checkpoint)
    kept = computed(with_room(bare)).kept
    assert kept == computed(bare).kept | {"added styles": ROOM}


def test_a_compiled_model_takes_none(checkpoint: Path) -> None:
    told = with_room(tiny_profile(checkpoint)).model_dump()
    told["model"]["compile"] = True
    with pytest.raises(ValueError, match="added_styles_bytes: compiled blocks"):
        DiffusionProfile.model_validate(told)


def test_what_follows_a_stop_is_refused(checkpoint: Path, folder: StyleFolder) -> None:
    engine = engine_of(with_room(tiny_profile(checkpoint)), folder)
    engine.close()
    with pytest.raises(ReplicaDown):
        engine.follow_styles()


def test_memory_that_does_not_suffice_is_told_and_leaves_nothing(
    checkpoint: Path,
    make: Make,
    folder: StyleFolder,
    loras: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = make(tiny_profile(checkpoint))
    before = engine.state().held_bytes

    def short(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        patched.setattr("deployments.diffusion.styles.adapters.Adapter.placed", short)
        with pytest.raises(ReplicaDown, match="no room for the style"):
            add(engine, folder, "one", loras["one"])
    assert engine.state().held_bytes == before
    assert engine.fault() is None
    engine.follow_styles().result(DEADLINE_S)
    assert engine.state().added_styles.keys() == {"one"}
