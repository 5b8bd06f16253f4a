"""The engine: shared forwards, cancelling, faults, memory, bounds."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.profile import EngineLimits, ModelSource
from deployments.diffusion.request.params import GenerationParams, Terms
from deployments.diffusion.request.request import Row
from deployments.diffusion.weights.audit import live_storage_bytes
from deployments.diffusion.weights.components import ModelUnavailable, SharedComponents
from deployments.errors import DeadlineMissed, GenerationFailed, InvalidValue, NotReady, Overloaded
from deployments.handover import Drawn, Given, Tokens
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import KINDS, image_to_image, inpaint, text_to_image
from tests.unit.diffusion.settled import settled_bytes

DEADLINE_S = 200


class Gated(ZImage):
    """Steps only as often as the test permits; open until the engine is warm."""

    permits: ClassVar[threading.Semaphore]
    batches: ClassVar[list[int]]

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        if rows[0].request.id != "warm-up":
            assert self.permits.acquire(timeout=DEADLINE_S)
            self.batches.append(len(rows))
        return super().velocity(rows)


class Faulty(ZImage):
    """Raises in the forward for one prompt, and in the decoder for another."""

    def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        if any(row.request.params.prompt == "sea" for row in rows):
            raise RuntimeError("no sea here")
        return super().velocity(rows)

    def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> np.ndarray:
        if latents.shape[-1] == 12:
            raise RuntimeError("no width of 96 here")
        return super().decode(latents, tiled=tiled)


@pytest.fixture
def gated(checkpoint: Path, make_engine: MakeEngine) -> Engine:
    Gated.permits, Gated.batches = threading.Semaphore(0), []
    return make_engine(tiny_profile(checkpoint, max_running=4, max_waiting=4), Gated)


def test_kinds_that_arrive_at_different_times_share_forwards(gated: Engine) -> None:
    asked = [
        text_to_image(num_inference_steps=6),
        image_to_image(prompt="a big dog beside the blue house and a tree", width=96, height=64),
        inpaint(num_inference_steps=3, strength=0.9, height=128),
    ]
    together: list[Future[Drawn]] = []
    for i, (params, given) in enumerate(asked):
        together.append(gated.submit(f"together-{i}", params, given))
        if i < 2:
            Gated.permits.release()
            wait_until(lambda n=i: gated.state().forwards == n + 1, DEADLINE_S)
    Gated.permits.release(100)
    drawn = [future.result(DEADLINE_S) for future in together]
    assert Gated.batches[0] == 1  # the first had begun before the others came
    assert max(Gated.batches) == 3
    assert gated.state().shared_forwards >= 2
    assert sum(Gated.batches) == sum(one.steps_executed for one in drawn)
    for i, (params, given) in enumerate(asked):
        alone = gated.submit(f"alone-{i}", params, given).result(DEADLINE_S)
        assert_same_picture(drawn[i].pictures, alone.pictures)
        assert drawn[i].steps_executed == alone.steps_executed


def test_a_cancelled_request_takes_at_most_one_more_step(gated: Engine) -> None:
    future = gated.submit("leaving", *text_to_image(num_inference_steps=20))
    waiting = [gated.submit(f"{i}", *text_to_image()) for i in range(4)]
    Gated.permits.release()
    wait_until(lambda: gated.state().forwards == 1, DEADLINE_S)
    gated.cancel("leaving")
    gated.cancel("3")
    Gated.permits.release()  # the step that had begun
    with pytest.raises(CancelledError):
        future.result(DEADLINE_S)
    with pytest.raises(CancelledError):
        waiting[3].result(DEADLINE_S)
    steps_of_leaving = Gated.batches.count(4)  # it was the fourth row
    assert steps_of_leaving <= 2
    Gated.permits.release(100)
    for future in waiting[:3]:
        future.result(DEADLINE_S)
    assert gated.state().running == gated.state().waiting == 0


def test_exactly_the_places_are_given_out(gated: Engine) -> None:
    accepted, refused = [], 0
    for i in range(20):
        try:
            accepted.append(gated.submit(f"{i}", *text_to_image(num_inference_steps=1)))
        except Overloaded:
            refused += 1
    assert (len(accepted), refused) == (8, 12)
    with pytest.raises(Overloaded) as full:
        gated.submit("two", *text_to_image(n=2))
    assert full.value.retry_after_s > 0
    Gated.permits.release(100)
    for future in accepted:
        future.result(DEADLINE_S)
    gated.retune(EngineLimits(token_budget=4096, max_running=1, max_waiting=0))
    gated.submit("fits", *text_to_image()).result(DEADLINE_S)
    with pytest.raises(InvalidValue, match="more than the queue's 1 places"):
        gated.submit("two", *text_to_image(n=2))


def test_interactive_rows_step_while_bulk_rows_keep_their_place(gated: Engine) -> None:
    asked = text_to_image(num_inference_steps=12)
    bulk = [gated.submit(f"bulk-{i}", *asked, Terms("bulk")) for i in range(4)]
    Gated.permits.release()
    wait_until(lambda: gated.state().forwards == 1, DEADLINE_S)
    urgent = gated.submit("urgent", *text_to_image(num_inference_steps=6, seed=9))
    Gated.permits.release(9)  # the bulk forward already chosen, then six of the urgent one
    urgent.result(DEADLINE_S)
    assert Gated.batches[0] == 4
    assert Gated.batches[1:].count(1) == 6
    assert not any(future.done() for future in bulk)
    Gated.permits.release(100)
    for future in bulk:
        assert np.array_equal(future.result(DEADLINE_S).pictures, bulk[0].result().pictures)


def test_deadlines_are_predicted_and_kept(gated: Engine) -> None:
    with pytest.raises(InvalidValue, match="deadline_s"):
        gated.submit("over", *text_to_image(), Terms(deadline_s=0.0))
    with pytest.raises(Overloaded, match="predicted in") as refused:
        gated.submit("hopeless", *text_to_image(num_inference_steps=20), Terms(deadline_s=1e-4))
    assert refused.value.param == "deadline_s"
    late = gated.submit("late", *text_to_image(), Terms(deadline_s=2.0))
    with pytest.raises(TimeoutError):
        late.result(2.1)  # nothing is permitted to step
    Gated.permits.release(1)
    with pytest.raises(DeadlineMissed):
        late.result(DEADLINE_S)
    assert gated.state().busy_s == 0


def test_n_pictures_are_rows_of_one_request(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint))
    for kind in KINDS:
        params, given = kind(n=3, seed=5)
        drawn = engine.submit("three", params, given).result(DEADLINE_S)
        assert drawn.seeds == (5, 6, 7)
        assert set(drawn.timings_ms) == {"queue", "encode", "start", "steps", "decode"}
        for i in range(3):
            one = engine.submit("one", replace(params, n=1, seed=5 + i), given).result(DEADLINE_S)
            assert_same_picture(drawn.pictures[i : i + 1], one.pictures)


def test_a_fault_harms_only_its_own_request(
    checkpoint: Path, make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    # pytest would keep the log's tracebacks, whose frames hold the tensors counted below
    caplog.set_level(logging.CRITICAL, "deployments.diffusion")
    engine = make_engine(tiny_profile(checkpoint, embedding_cache_bytes=0), Faulty)
    good = engine.submit("alone", *text_to_image(n=2)).result(DEADLINE_S)
    before = settled_bytes(engine)
    futures = {
        "good": engine.submit("good", *text_to_image(n=2)),
        "forward": engine.submit("forward", *text_to_image(prompt="sea")),
        "decode": engine.submit("decode", *text_to_image(width=96)),
        "next": engine.submit("next", *text_to_image(n=2)),
    }
    for name in ("forward", "decode"):
        with pytest.raises(GenerationFailed):
            futures[name].result(DEADLINE_S)
    for name in ("good", "next"):
        assert_same_picture(futures[name].result(DEADLINE_S).pictures, good.pictures)
    del futures
    assert settled_bytes(engine) == before
    assert engine.state().running == engine.state().waiting == 0


def test_refusals_name_the_field(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint))
    wrong: dict[str, dict[str, object]] = {
        "prompt": {"prompt": "  "},
        "size": {"width": 65},
        "num_inference_steps": {"num_inference_steps": 0},
        "n": {"n": 9},
        "seed": {"seed": -1},
        "strength": {"strength": 0.0},
        "guidance_scale": {"guidance_scale": 21.0},
        "negative_prompt": {"negative_prompt": "a dog"},
    }
    for field, values in wrong.items():
        with pytest.raises(InvalidValue) as caught:
            engine.submit(field, *image_to_image(**values))
        assert caught.value.param == field
    with pytest.raises(InvalidValue, match="runs no step"):
        engine.submit("none", *image_to_image(strength=1e-17)).result(DEADLINE_S)


def test_a_repeated_prompt_encodes_nothing(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint))
    first = engine.submit("1", *text_to_image(prompt="a zebra")).result(DEADLINE_S)
    before = engine.state()
    second = engine.submit("2", *text_to_image(prompt="a zebra")).result(DEADLINE_S)
    assert engine.state().encodes == before.encodes
    assert engine.state().encode_hits == before.encode_hits + 1
    assert np.array_equal(first.pictures, second.pictures)
    assert first.warnings == second.warnings != ()


def test_guided_rows_share_forwards_with_others(gated: Engine) -> None:
    asked: dict[str, dict[str, object]] = {
        "plain": {},
        "guided": {"guidance_scale": 3.0, "negative_prompt": "a blue dog"},
    }
    futures = {name: gated.submit(name, *text_to_image(**fields)) for name, fields in asked.items()}
    Gated.permits.release(100)
    together = {name: future.result(DEADLINE_S).pictures for name, future in futures.items()}
    assert 2 in Gated.batches
    for name, fields in asked.items():
        alone = gated.submit("alone", *text_to_image(**fields)).result(DEADLINE_S)
        assert_same_picture(together[name], alone.pictures)
    assert not np.array_equal(together["plain"], together["guided"])


def test_weights_are_held_once(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint))
    components = engine.state(), engine._loaded.family.components
    unique = {id(p): p for m in components[1].modules.values() for p in m.parameters()}
    needed = sum(p.numel() * 4 for p in unique.values())
    assert components[0].held_bytes == pytest.approx(needed, rel=0.01)
    assert engine.held_twice_bytes() == 0
    copy = next(iter(unique.values())).clone()
    assert engine.held_twice_bytes() == copy.untyped_storage().nbytes()


def test_other_kinds_add_no_memory(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint))
    engine.submit("t2i", *text_to_image()).result(DEADLINE_S)
    before = live_storage_bytes()
    for kind in (image_to_image, inpaint):
        engine.submit("edit", *kind()).result(DEADLINE_S)
    assert live_storage_bytes() - before < 1_000_000


def test_a_missing_model_is_named_and_never_ready(tmp_path: Path) -> None:
    profile = tiny_profile(tmp_path / "nowhere")
    engine = Engine(profile, lambda _: ZImage(SharedComponents.load(profile.model), 64))
    wait_until(lambda: engine.state().phase == "failed", DEADLINE_S)
    assert "there is no model folder 'nowhere' (attempt 1; the next one in 5 s)" in str(
        engine.state().reason
    )
    assert engine.fault() is None
    with pytest.raises(NotReady, match="nowhere"):
        engine.submit("1", *text_to_image())
    engine.close()


def test_half_a_checkpoint_is_refused_whole(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text((checkpoint / "model_index.json").read_text())
    with pytest.raises(ModelUnavailable, match="no model folder"):
        SharedComponents.load(ModelSource(source=str(tmp_path / "absent"), dtype="float32"))
    with pytest.raises(ModelUnavailable, match=f"{tmp_path.name!r}: its .* is missing") as refused:
        SharedComponents.load(ModelSource(source=str(tmp_path), dtype="float32"))
    assert str(tmp_path.parent) not in str(refused.value)


def test_closing_fails_what_is_on_its_way(gated: Engine) -> None:
    future = gated.submit("late", *text_to_image(num_inference_steps=20))
    closing = threading.Thread(target=gated.close)
    closing.start()
    wait_until(lambda: gated.state().phase == "draining", DEADLINE_S)
    Gated.permits.release(100)
    with pytest.raises(NotReady):
        future.result(DEADLINE_S)
    closing.join(DEADLINE_S)
    assert not closing.is_alive()


def test_what_was_read_and_drawn_is_counted(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint))

    def tokens(request: tuple[GenerationParams, Given | None]) -> Tokens:
        return engine.submit("1", *request).result(DEADLINE_S).tokens

    one, two = tokens(text_to_image()), tokens(text_to_image(n=2))
    edited, wide = tokens(image_to_image()), tokens(text_to_image(width=128, height=128))
    guided = tokens(text_to_image(guidance_scale=2.0, negative_prompt="a red cat"))
    assert 0 < one.text < tokens(text_to_image(prompt="a red cat and the big blue house")).text
    assert (one.given, two.drawn, wide.drawn) == (0, 2 * one.drawn, 2 * one.drawn)
    assert (edited.given, edited.drawn, edited.text) == (one.drawn, one.drawn, one.text)
    assert guided.text == 2 * one.text
